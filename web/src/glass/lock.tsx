import { useState } from 'react';
import type { LockScope } from '../../../src/seal/messages.ts';
import type { LockNow as LockDocument } from '../../../src/seal/roster.ts';
import { Card } from './parts.tsx';
import { type Known, touch } from './passkey.ts';
import { lockAtOnce } from './server.ts';
import { TouchForm } from './touch-form.tsx';

const EFFECT: Readonly<Record<LockScope, string>> = {
  directory: 'Nobody reads a name, number or e-mail address any more. Phones work as before.',
  admin: 'This admin can read, sign and lock nothing any more. Others work as before.',
  commands: 'No destructive command runs any more, whoever signs.',
  role: 'Nobody with this role can read, sign or lock anything any more.',
  credential: 'Nothing signed with this passkey counts any more. Its owner’s other passkeys work.',
  document: 'This grant or request counts for nothing any more, whoever signed it.',
};

const title = (scope: LockScope, target: string): string =>
  target === '' ? `Lock the ${scope === 'commands' ? 'command lane' : scope}` : `Lock the ${scope} ${target}`;

/** One touch locks: the page's own document, straight to both guards, past console, core and database. */
export function LockNow({ scope, target }: { scope: LockScope; target: string }) {
  const [purpose, setPurpose] = useState('');
  const [missing, setMissing] = useState<readonly string[]>();

  async function lock(signer: Known, why: string, say: (busy: string) => void) {
    const document: LockDocument = {
      ...{ v: 1, op: 'lock', id: crypto.randomUUID(), scope, target, requester: signer.admin, purpose: why },
      notAfter: Date.now() + 5 * 60_000,
    };
    const { assertion } = await touch(document, signer.credential);
    say('Telling both guards');
    setMissing((await lockAtOnce(document, assertion)).missing);
  }

  if (missing !== undefined) {
    return (
      <Card title="Locked">
        <p className={missing.length === 0 ? 'note good' : 'note warn'}>
          {missing.length === 0
            ? 'Both guards hold the lock.'
            : `One guard holds the lock, and that is enough. The ${missing.join(' and the ')} did not answer.`}{' '}
          Two people lift it, from the console’s page of locks.
        </p>
      </Card>
    );
  }
  return (
    <Card title={title(scope, target)}>
      <p className="note bad">{EFFECT[scope]}</p>
      <TouchForm
        question="Why?"
        reader="everybody who looks at the locks"
        button="Touch and lock"
        purpose={purpose}
        onPurpose={setPurpose}
        work={lock}
      >
        <p className="quiet small">It holds at once. Lifting it takes two people.</p>
      </TouchForm>
    </Card>
  );
}
