import { useState } from 'react';
import type { Change, Field } from '../../../src/seal/messages.ts';
import { Card } from './parts.tsx';
import { type Known, touch } from './passkey.ts';
import { askCancel } from './server.ts';
import { TouchForm } from './touch-form.tsx';

const WHAT: Readonly<Record<string, string>> = { number: 'mobile number', email: 'e-mail address' };

/** One administrator's touch that a changed number or address is turned away: the present one stays. */
export function CancelChange(props: { subject: string; field: Field; version: number }) {
  const { subject, field, version } = props;
  const [purpose, setPurpose] = useState('');
  const [done, setDone] = useState(false);
  const what = WHAT[field] ?? field;

  async function cancel(signer: Known, why: string) {
    const document: Change = {
      ...{ v: 1, op: 'change', id: crypto.randomUUID(), act: 'cancel', subject, field, version },
      ...{ requester: signer.admin, purpose: why, notAfter: Date.now() + 5 * 60_000 },
    };
    const { assertion } = await touch(document, signer.credential);
    await askCancel(document, assertion);
    setDone(true);
  }

  if (done) {
    return (
      <Card title="Turned away">
        <p className="note good">
          The change is not taken any more, whoever brings it. The {what} from before stays. You can close this tab.
        </p>
      </Card>
    );
  }
  return (
    <Card title={`Turn a changed ${what} away`}>
      <p>
        Somebody changed the {what} of <strong className="mono">{subject}</strong>, and it waits. If the person knows
        nothing of it, turn it away: the present one stays.
      </p>
      <dl className="facts">
        <dt>Kept in the log</dt>
        <dd>your handle, this handle and your reason, for good</dd>
      </dl>
      <TouchForm
        question="Why?"
        reader="the person concerned"
        button="Touch and turn away"
        purpose={purpose}
        onPurpose={setPurpose}
        work={cancel}
      />
    </Card>
  );
}
