import { useState } from 'react';
import type { SignIn as Document } from '../../../src/seal/messages.ts';
import { packJson, unpackJson } from '../shared/bytes.ts';
import { Card, Trouble } from './parts.tsx';
import { known, remember, touch } from './passkey.ts';
import type { Published } from './server.ts';

function read(packed: string): Document | undefined {
  try {
    const document = unpackJson(packed) as Document;
    const whole = document.v === 1 && document.op === 'sign-in' && Object.keys(document).length === 6;
    const typed = typeof document.nonce === 'string' && typeof document.notAfter === 'number';
    const bound = typeof document.key === 'string' && typeof document.console === 'string';
    return whole && typed && bound ? document : undefined;
  } catch {
    return undefined;
  }
}

/** True only for pages of the console that glass was configured with. */
function isOurs(address: string, console: string): boolean {
  return URL.canParse(address) && new URL(address).origin === console;
}

/** Signs a sign-in for the one configured console and goes back to it; anything else is refused in words. */
export function SignIn({ packed, back, config }: { packed: string; back: string; config: Published }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const document = read(packed);
  const console = new URL(config.console).origin;

  if (document === undefined || !isOurs(back, console) || document.console !== console) {
    return (
      <Card title="This sign-in was refused">
        <div className="note bad">
          <p>
            {document === undefined
              ? 'The link does not hold a complete sign-in. Go back to the console and press “Sign in” again.'
              : 'The page that sent you here is not the console that belongs to this site. Do not touch your security key. Tell your security team which page you came from.'}
          </p>
        </div>
        <p>
          The console of this organisation is <a href={console}>{console}</a>.
        </p>
      </Card>
    );
  }

  async function sign(asked: Document) {
    setBusy(true);
    setError(undefined);
    try {
      const { assertion, admin } = await touch(asked);
      const who = admin ?? known()?.admin;
      if (who !== undefined) remember({ admin: who, credential: assertion.credential });
      const target = new URL(back);
      target.hash = `signed-in=${packJson({ document: asked, assertion })}`;
      location.assign(target);
    } catch (caught) {
      setError(caught as Error);
      setBusy(false);
    }
  }

  return (
    <Card title="Sign in to the console">
      <p>You came from, and will go back to:</p>
      <p className="origin mono">{console}</p>
      <p className="quiet">
        The touch signs you in there and nowhere else. It cannot be used to read a name or to run a command.
      </p>
      <Trouble error={error} />
      <div className="row">
        <button type="button" className="primary" disabled={busy} onClick={() => sign(document)}>
          Use my passkey
        </button>
        <a className="button" href={back}>
          Cancel
        </a>
        <span role="status">{busy ? 'Touch your security key' : ''}</span>
      </div>
    </Card>
  );
}
