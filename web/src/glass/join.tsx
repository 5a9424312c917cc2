import { useState } from 'react';
import type { EnrolKey } from '../../../src/seal/messages.ts';
import { pin } from './import/pin.ts';
import { Card, Trouble } from './parts.tsx';
import { createPasskey, remember, touch } from './passkey.ts';
import { enrolKey, type Published } from './server.ts';

/** One-time link: makes a passkey on this origin and lets it sign its own registration. */
export function Join({ token, admin, config }: { token: string; admin: string; config: Published }) {
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();
  const [done, setDone] = useState<{ admin: string; role: string }>();
  const [made, setMade] = useState<{ credential: string; publicKey: string }>();

  async function join() {
    setError(undefined);
    try {
      setBusy('Touch your security key to create the passkey (1 of 2)');
      // a passkey that was made but not accepted is used again, so a retry leaves no stray one behind
      const key = made ?? (await createPasskey(admin));
      setMade(key);
      const enrol: EnrolKey = { v: 1, op: 'enrol-key', token, ...key, notAfter: Date.now() + 5 * 60_000 };
      setBusy('Touch it once more to sign your registration (2 of 2)');
      const { assertion } = await touch(enrol, key.credential);
      setBusy('Asking both guards to pin your passkey');
      const answer = await enrolKey(enrol, assertion);
      pin(config.keys);
      remember({ admin: answer.admin, credential: key.credential });
      history.replaceState(null, '', '/');
      setDone(answer);
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(undefined);
    }
  }

  if (done !== undefined) {
    return (
      <Card title="Your passkey is registered">
        <div className="note good">
          <p>
            Both guards know you as <strong className="mono">{done.admin}</strong> ({done.role}). The link is used up.
          </p>
        </div>
        <p>
          <a className="button primary" href={config.console}>
            Go to the console
          </a>
        </p>
      </Card>
    );
  }
  return (
    <Card title="Join as an administrator">
      <p>
        This link was made for <strong className="mono">{admin}</strong>. Your security key, phone or computer will make
        a passkey that stays with you: there is no password, and nobody can sign in your place.
      </p>
      <ol className="steps">
        <li>Touch once to create the passkey.</li>
        <li>Touch again to sign your registration with it.</li>
      </ol>
      <Trouble error={error} />
      <div className="row">
        <button type="button" className="primary" disabled={busy !== undefined} onClick={join}>
          {error === undefined ? 'Create my passkey' : 'Try again'}
        </button>
        <span role="status">{busy}</span>
      </div>
    </Card>
  );
}
