import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Dialog, Empty, Loaded, or, Refused, type Tone } from '../parts.tsx';
import { useMayChange } from '../session.tsx';

interface Certificates {
  readonly certificates: readonly {
    readonly serial: string | null;
    readonly issuedAt: string;
    readonly notAfter: string | null;
    readonly seenAt: string | null;
    readonly revokedAt: string | null;
    readonly reason: string | null;
    readonly pinned: boolean;
  }[];
  readonly renewal: {
    readonly state: string;
    /** Null: this device's certificate is not renewed by us. */
    readonly nextAt: string | null;
    readonly attempts: number;
    readonly reason: string | null;
    readonly askedBy: string | null;
  } | null;
  /** Why it cannot be renewed: `account`, `imported` or `acme`. */
  readonly obstacle: string | null;
}

const OBSTACLE: Readonly<Record<string, string>> = {
  account: 'it was enrolled by account before devices carried that account for us, and nobody keeps it here',
  imported:
    'it was taken over from another server, and nobody gave us the enrolment profile that it has (import-fleet --profile)',
};

const RENEWAL: Readonly<Record<string, [Tone, string]>> = {
  due: ['info', 'waits for its next attempt'],
  sent: ['info', 'the device was told'],
  issued: ['info', 'issued, not used yet'],
  done: ['good', 'renewed'],
  stopped: ['quiet', 'stopped'],
};

function standing(one: Certificates['certificates'][number]): [Tone, string] {
  if (one.revokedAt !== null) return ['quiet', `revoked: ${one.reason}`];
  if (one.pinned) return ['good', 'in use'];
  return ['info', 'issued, not used yet'];
}

function Renewal({ renewal, obstacle }: Pick<Certificates, 'renewal' | 'obstacle'>) {
  if (obstacle !== null) {
    return (
      <p className="note warn">
        <strong>It cannot be renewed</strong>: {OBSTACLE[obstacle] ?? obstacle}. Next: enrol the device again before its
        certificate ends. Afterwards it is not managed any more.
      </p>
    );
  }
  if (renewal === null) return <p className="quiet">It is renewed by itself before it ends.</p>;
  const [tone, words] = RENEWAL[renewal.state] ?? ['quiet', renewal.state];
  const open = ['due', 'sent', 'issued'].includes(renewal.state);
  return (
    <p>
      Renewal: <Chip tone={tone}>{words}</Chip>{' '}
      <span className="quiet">
        {renewal.attempts} {renewal.attempts === 1 ? 'attempt' : 'attempts'}
        {renewal.reason === null ? '' : `, the last failed: ${renewal.reason}`}
      </span>{' '}
      {open && renewal.nextAt !== null ? (
        <>
          next step <When at={renewal.nextAt} />
        </>
      ) : null}
    </p>
  );
}

const REASONS = [
  ['privilegeWithdrawn', 'It shall not be managed any more'],
  ['keyCompromise', 'Somebody else may have its key'],
] as const;

/** Cuts the device off at once. */
function Revoke({ handle, onClose, onDone }: { handle: string; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState<string>(REASONS[0][0]);
  const act = useAct(async () => {
    await send('POST', `/devices/${handle}/certificates/revoke`, { reason });
    onDone();
    onClose();
  });
  return (
    <Dialog title={`Revoke the certificates of ${handle}`} onClose={onClose}>
      <p className="note bad">
        It is refused from now on: no command reaches it, an erase neither. What is on it stays. Only a new enrolment
        brings it back.
      </p>
      <fieldset className="builder">
        <legend>Why?</legend>
        {REASONS.map(([value, words]) => (
          <label key={value} className="choice">
            <input type="radio" name="reason" checked={reason === value} onChange={() => setReason(value)} />
            <span>{words}</span>
          </label>
        ))}
      </fieldset>
      <Refused problem={act.problem} />
      <div className="row">
        <button type="button" className="danger" disabled={act.busy} onClick={() => void act.run()}>
          Revoke
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

/** A device's certificates, those that count and those that were revoked, and its renewal. */
export function DeviceCertificates({ handle }: { handle: string }) {
  const answer = useAnswer(`certificates:${handle}`, (signal) =>
    call<Certificates>(`/devices/${handle}/certificates`, { signal: signal ?? null }),
  );
  const mayChange = useMayChange();
  const [revoking, setRevoking] = useState(false);
  const renew = useAct(async () => {
    await send<void>('POST', `/devices/${handle}/certificates/renew`, {});
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Certificates</h2>
      <Loaded answer={answer}>
        {({ certificates, renewal, obstacle }) =>
          certificates.length === 0 ? (
            <Empty title="None was issued yet" />
          ) : (
            <>
              <Renewal renewal={renewal} obstacle={obstacle} />
              <div className="scroll">
                <table className="list">
                  <thead>
                    <tr>
                      <th scope="col">Issued</th>
                      <th scope="col">Until</th>
                      <th scope="col">State</th>
                      <th scope="col">Serial</th>
                    </tr>
                  </thead>
                  <tbody>
                    {certificates.map((one) => {
                      const [tone, words] = standing(one);
                      return (
                        <tr key={`${one.serial} ${one.issuedAt}`}>
                          <th scope="row">
                            <When at={one.issuedAt} />
                          </th>
                          <td>
                            <When at={one.notAfter} />
                          </td>
                          <td>
                            <Chip tone={tone}>{words}</Chip>
                          </td>
                          <td className="mono small">{or(one.serial)}</td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
              {mayChange && certificates.some((one) => one.pinned) ? (
                <div className="row">
                  {obstacle === null ? (
                    <button type="button" disabled={renew.busy} onClick={() => renew.run()}>
                      Renew now
                    </button>
                  ) : null}
                  <button type="button" className="danger" onClick={() => setRevoking(true)}>
                    Revoke
                  </button>
                </div>
              ) : null}
              <Refused problem={renew.problem} />
              {revoking ? <Revoke handle={handle} onClose={() => setRevoking(false)} onDone={answer.reload} /> : null}
            </>
          )
        }
      </Loaded>
    </section>
  );
}
