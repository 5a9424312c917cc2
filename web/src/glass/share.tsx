import { type FormEvent, useEffect, useState } from 'react';
import type { BringShare } from '../../../src/seal/messages.ts';
import { toBase64url, utf8 } from '../shared/bytes.ts';
import { Card, Trouble } from './parts.tsx';
import { touch } from './passkey.ts';
import { bringShare, type Shares, shares } from './server.ts';

/** One administrator brings a share of the organisation's key. It is kept nowhere: not in the page's address, not in this browser. */
export function Share() {
  const [waiting, setWaiting] = useState<Shares>();
  const [share, setShare] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  useEffect(() => {
    shares().then(setWaiting, setError);
  }, []);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const text = share.trim();
      const hash = await crypto.subtle.digest('SHA-256', utf8(text));
      const notAfter = Date.now() + 5 * 60_000;
      const document: BringShare = { v: 1, op: 'bring-share', shareSha256: toBase64url(hash), notAfter };
      const { assertion } = await touch(document);
      setWaiting(await bringShare(document, assertion, text));
      setShare('');
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(false);
    }
  };

  if (waiting?.none === true || waiting?.complete === true) {
    return (
      <Card title="The organisation’s key">
        <p className="note good" role="status">
          {waiting.none === true
            ? 'No shares are waited for.'
            : 'The shares make the key. The sealer has it in a moment, unless the directory is locked. You can close this tab.'}
        </p>
      </Card>
    );
  }
  return (
    <Card title="Bring a share of the organisation’s key">
      <p>
        {waiting === undefined
          ? 'Asking what is needed'
          : `${waiting.have ?? 0} of the ${waiting.need ?? 0} shares that are needed are here.`}{' '}
        Nobody reads a name or number until they are all here; phones are managed meanwhile.
      </p>
      <form className="stack" onSubmit={(event) => void submit(event)}>
        <div className="field">
          <label htmlFor="share">
            Your share <span className="hint">it begins with bzs1.</span>
          </label>
          <input
            id="share"
            className="mono"
            type="password"
            autoComplete="off"
            spellCheck={false}
            required
            minLength={10}
            maxLength={400}
            value={share}
            onChange={(event) => setShare(event.target.value)}
          />
        </div>
        <Trouble error={error} />
        <div className="row">
          <button type="submit" className="primary" disabled={busy}>
            Touch and bring it
          </button>
        </div>
      </form>
    </Card>
  );
}
