import { useState } from 'react';
import type { Grant } from '../../../src/seal/messages.ts';
import { unpackJson } from '../shared/bytes.ts';
import { utc, When } from '../shared/time.tsx';
import { Card, Signer, Trouble } from './parts.tsx';
import { identify, known, touch } from './passkey.ts';
import { cosignGrant } from './server.ts';

const MEMBERS = ['admin', 'browserKey', 'field', 'id', 'notAfter', 'op', 'purpose', 'subjects', 'v'];

function read(packed: string): Grant | undefined {
  try {
    const grant = unpackJson(packed) as Grant;
    const whole = Object.keys(grant).sort().join() === MEMBERS.join() && grant.op === 'reveal' && grant.v === 1;
    return whole && Array.isArray(grant.subjects) && typeof grant.notAfter === 'number' ? grant : undefined;
  } catch {
    return undefined;
  }
}

/** Another administrator signs somebody's grant that is beyond the organisation's limit of a day. He reads nothing himself. */
export function Cosign({ packed }: { packed: string }) {
  const grant = read(packed);
  const [who, setWho] = useState(known);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const [error, setError] = useState<Error>();
  if (grant === undefined) {
    return (
      <Card title="This link is not complete">
        <p>Ask the colleague who wants to read for the whole link.</p>
      </Card>
    );
  }
  async function sign(asked: Grant) {
    setBusy(true);
    setError(undefined);
    try {
      const signer = who ?? (await identify());
      setWho(signer);
      const { assertion } = await touch(asked, signer.credential);
      await cosignGrant(asked, assertion);
      setDone(true);
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Card title="Let a colleague read beyond the day’s limit">
      <p className="note warn">
        The organisation has read as much today as one person’s touch allows. With your signature{' '}
        <strong className="mono">{grant.admin}</strong> reads these too; you see nothing. Ask them why.
      </p>
      <dl className="facts">
        <dt>Reads</dt>
        <dd>
          {grant.field} of {grant.subjects.length} {grant.subjects.length === 1 ? 'person' : 'people'}
        </dd>
        <dt>Of</dt>
        <dd>
          <ul className="handles mono">
            {grant.subjects.map((subject) => (
              <li key={subject}>{subject}</li>
            ))}
          </ul>
        </dd>
        <dt>Because</dt>
        <dd>“{grant.purpose}”</dd>
        <dt>Sign before</dt>
        <dd>
          {utc(grant.notAfter)} (<When at={grant.notAfter} />)
        </dd>
      </dl>
      <Signer who={who} onForget={() => setWho(undefined)} />
      <Trouble error={error} />
      {done ? (
        <p className="note good" role="status">
          Signed. Your colleague’s page goes on by itself. You can close this tab.
        </p>
      ) : (
        <div className="row">
          <button type="button" className="primary" disabled={busy} onClick={() => sign(grant)}>
            Touch and sign
          </button>
          <span role="status">{busy ? 'Touch your security key' : ''}</span>
        </div>
      )}
    </Card>
  );
}
