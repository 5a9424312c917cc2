import { type FormEvent, useState } from 'react';
import type { Field, Grant, Receipt } from '../../../src/seal/messages.ts';
import { utc } from '../shared/time.tsx';
import { receiptHolds } from './open.ts';
import { Card, Signer, Trouble } from './parts.tsx';
import { identify, known, touch } from './passkey.ts';
import { askRelease, type Published } from './server.ts';

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
  const [who, setWho] = useState(known);
  const [purpose, setPurpose] = useState('');
  const [short, setShort] = useState(false);
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();
  const [receipt, setReceipt] = useState<Receipt>();
  const { title, effect } = WHAT[field as keyof typeof WHAT];

  async function release(event: FormEvent) {
    event.preventDefault();
    setError(undefined);
    const why = purpose.trim();
    if (why.length < 5 || why.length > 200) return setShort(true);
    try {
      setBusy('Touch your security key');
      const signer = who ?? (await identify());
      setWho(signer);
      const grant: Grant = {
        ...{
          v: 1,
          op: 'reveal',
          id: crypto.randomUUID(),
          admin: signer.admin,
          field,
          subjects: [device],
          purpose: why,
        },
        ...{ notAfter: Date.now() + 5 * 60_000, browserKey: config.keys.release },
      };
      const { assertion } = await touch(grant, signer.credential);
      setBusy('The guards write their entry and seal the secret to the device plane');
      const answer = await askRelease(grant, assertion);
      if (!(await receiptHolds(config.keys.ledger, answer.receipt, grant))) {
        throw new Error('The answer came without a valid receipt of the ledger. Tell your security team.');
      }
      setReceipt(answer.receipt);
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(undefined);
    }
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
      <form onSubmit={release} className="stack">
        <div className="field">
          <label htmlFor="purpose">
            Why? <span className="hint">5 to 200 characters, without names or numbers</span>
          </label>
          <textarea
            id="purpose"
            maxLength={200}
            value={purpose}
            aria-invalid={short}
            aria-describedby="purpose-error"
            onChange={(event) => {
              setPurpose(event.target.value);
              setShort(false);
            }}
          />
          <span id="purpose-error" className="field-error">
            {short ? 'Write at least 5 characters: the holder may read this.' : ''}
          </span>
        </div>
        <Signer who={who} onForget={() => setWho(undefined)} />
        <Trouble error={error} />
        <div className="row">
          <button type="submit" className="primary" disabled={busy !== undefined}>
            Touch and release
          </button>
          <span role="status">{busy}</span>
        </div>
      </form>
    </Card>
  );
}
