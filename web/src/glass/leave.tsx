import { useState } from 'react';
import { LEAVING_PER_HOUR, type Leave } from '../../../src/seal/messages.ts';
import { Card } from './parts.tsx';
import { type Known, touch } from './passkey.ts';
import { askLeave } from './server.ts';
import { TouchForm } from './touch-form.tsx';

/** One administrator's touch that people have left: their locks are destroyed, for ever. */
export function Leavers({ subjects }: { subjects: readonly string[] }) {
  const [purpose, setPurpose] = useState('');
  const [done, setDone] = useState(false);
  const count = subjects.length;
  const whom = count === 1 ? 'this person' : `these ${count} people`;

  async function erase(signer: Known, why: string, say: (busy: string) => void) {
    const document: Leave = {
      ...{ v: 1, op: 'leave', id: crypto.randomUUID(), subjects, requester: signer.admin, purpose: why },
      notAfter: Date.now() + 5 * 60_000,
    };
    const { assertion } = await touch(document, signer.credential);
    say('The ledger writes its entry and destroys the locks');
    await askLeave(document, assertion);
    setDone(true);
  }

  if (done) {
    return (
      <Card title="Erased">
        <p className="note good">
          The ledger wrote its entry and destroyed {count === 1 ? 'the lock' : 'the locks'} of {whom}. Nothing of theirs
          opens again, in any copy of the database. The certificate is on the person’s page in the console. You can
          close this tab.
        </p>
      </Card>
    );
  }
  return (
    <Card title={count === 1 ? 'Erase a person who left' : `Erase ${count} people who left`}>
      <p className="note warn">
        Name, number and e-mail address of {whom} become unreadable for everybody, in all copies and backups. This
        cannot be undone, and nobody can be made under the same handle again. Their devices stay.
      </p>
      <dl className="facts">
        <dt>Whom</dt>
        <dd>
          <ul className="handles mono">
            {subjects.map((subject) => (
              <li key={subject}>{subject}</li>
            ))}
          </ul>
        </dd>
        <dt>Alone</dt>
        <dd>you may erase at most {LEAVING_PER_HOUR} people an hour; for more, ask two people in the console</dd>
        <dt>Kept in the log</dt>
        <dd>your handle, these handles and your reason, for good</dd>
      </dl>
      <TouchForm
        question="Why?"
        reader="the data protection officer"
        button="Touch and erase"
        purpose={purpose}
        onPurpose={setPurpose}
        work={erase}
      />
    </Card>
  );
}
