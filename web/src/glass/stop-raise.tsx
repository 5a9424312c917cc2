import { useEffect, useState } from 'react';
import type { CancelRaise } from '../../../src/seal/roster.ts';
import { When } from '../shared/time.tsx';
import { Card } from './parts.tsx';
import { type Known, touch } from './passkey.ts';
import { CAP_WORDS } from './roster-words.tsx';
import { type GlassRoster, roster, stopRaise } from './server.ts';
import { TouchForm } from './touch-form.tsx';

/** One administrator stops limits on their way up. */
export function StopRaise() {
  const [present, setPresent] = useState<GlassRoster | null>();
  const [purpose, setPurpose] = useState('');
  const [done, setDone] = useState(false);
  useEffect(() => {
    roster().then(setPresent, () => setPresent(null));
  }, []);

  async function stop(signer: Known, why: string, say: (busy: string) => void) {
    const document: CancelRaise = {
      ...{ v: 1, op: 'cancel-raise', id: crypto.randomUUID(), roster: present!.version, requester: signer.admin },
      ...{ purpose: why, notAfter: Date.now() + 5 * 60_000 },
    };
    const { assertion } = await touch(document, signer.credential);
    say('Telling both guards');
    await stopRaise(document, assertion);
    setDone(true);
  }

  if (done) {
    return (
      <Card title="Stopped">
        <p className="note good">The limits stay as they are. To raise them, the quorum has to ask anew.</p>
      </Card>
    );
  }
  if (present === undefined) return <Card title="Limits on their way up">Asking the guards</Card>;
  if (present === null || present.raises.length === 0) {
    return (
      <Card title="Limits on their way up">
        <p className="note">{present === null ? 'The ledger does not answer.' : 'No limit waits to be raised.'}</p>
      </Card>
    );
  }
  return (
    <Card title="Stop limits on their way up">
      <ul>
        {present.raises.map((raise) => (
          <li key={raise.cap}>
            {CAP_WORDS[raise.cap]}: <strong>{present.caps[raise.cap]}</strong> now, <strong>{raise.to}</strong>{' '}
            <When at={raise.from} />
          </li>
        ))}
      </ul>
      <TouchForm
        question="Why do you stop it?"
        reader="those who asked for it"
        button="Touch and stop"
        purpose={purpose}
        onPurpose={setPurpose}
        work={stop}
      />
    </Card>
  );
}
