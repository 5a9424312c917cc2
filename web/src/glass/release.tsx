import { useState } from 'react';
import type { Field, Receipt } from '../../../src/seal/messages.ts';
import { utc } from '../shared/time.tsx';
import { receiptHolds } from './open.ts';
import { Card } from './parts.tsx';
import { type Known, touch } from './passkey.ts';
import { askRelease, type Published } from './server.ts';
import { newGrant, TouchForm } from './touch-form.tsx';

const WHAT = {
  'unlock-token': {
    title: 'Release the unlock token',
    effect:
      'The device’s passcode is cleared when it next checks in. Whoever holds it can open it until a new one is set.',
  },
  'bootstrap-token': {
    title: 'Release the bootstrap token',
    effect: 'The device gets its bootstrap token back when it next asks for it.',
  },
} as const;

/** One touch that lets the guards hand one device's secret to the device plane. Nobody sees it, this page included. */
export function Release(props: { field: Field; device: string; config: Published }) {
  const { field, device, config } = props;
  const [purpose, setPurpose] = useState('');
  const [receipt, setReceipt] = useState<Receipt>();
  const { title, effect } = WHAT[field as keyof typeof WHAT];

  async function release(signer: Known, why: string, say: (busy: string) => void) {
    const { admin } = signer;
    const grant = newGrant({ admin, field, subjects: [device], purpose: why, browserKey: config.keys.release });
    const { assertion } = await touch(grant, signer.credential);
    say('The guards write their entry and seal the secret to the device plane');
    const answer = await askRelease(grant, assertion);
    if (!(await receiptHolds(config.keys.ledger, answer.receipt, grant))) {
      throw new Error('The answer came without a valid receipt of the ledger. Tell your security team.');
    }
    setReceipt(answer.receipt);
  }

  if (receipt !== undefined) {
    return (
      <Card title="Released">
        <p className="note good">
          Entry {receipt.leaf} was written to the log at {utc(receipt.time)}, before anything was opened. The secret
          waits for <span className="mono">{device}</span> for 24 hours, sealed so that only the device plane can hand
          it over. You can close this tab.
        </p>
      </Card>
    );
  }
  return (
    <Card title={title}>
      <p className="note warn">{effect}</p>
      <dl className="facts">
        <dt>Device</dt>
        <dd className="mono">{device}</dd>
        <dt>Shown to</dt>
        <dd>nobody: the guards seal it to the device plane, which hands it to this device and forgets it</dd>
        <dt>Kept in the log</dt>
        <dd>your handle, this device and your reason, for good</dd>
      </dl>
      <TouchForm
        question="Why?"
        reader="the holder"
        button="Touch and release"
        purpose={purpose}
        onPurpose={setPurpose}
        work={release}
      />
    </Card>
  );
}
