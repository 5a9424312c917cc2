import { type FormEvent, useId, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAct, useAnswer, useDraft } from '../data.ts';
import type { Lock } from '../model.ts';
import { Chip, Dialog, Empty, Frame, GlassLink, Loaded, Refused } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

const SCOPE: Readonly<Record<Lock['scope'], [string, string]>> = {
  directory: ['Directory', 'Nobody can read a name, number or e-mail address. Phones work as before.'],
  admin: ['Admin', 'This admin cannot read, sign or command. Others work as before.'],
  commands: ['Commands', 'No destructive command runs, whoever signs.'],
  role: ['Role', 'Nobody with this role can read, sign or command.'],
  credential: ['Passkey', 'Nothing signed with this passkey counts; its owner’s other passkeys work.'],
  document: ['Request', 'This one grant or request counts for nothing, whoever signed it.'],
};
/** What one chooses here; a passkey is locked on the roster page, a request on its own page. */
const CHOICES = ['directory', 'admin', 'role', 'commands'] as const;
const ROLES = ['administrator', 'analyst', 'dpo'];

const named = (lock: Lock): string =>
  lock.target === '' ? SCOPE[lock.scope][0] : `${SCOPE[lock.scope][0]} ${lock.target.slice(0, 36)}`;

function AskUnlock({ lock, onClose }: { lock: Lock; onClose: () => void }) {
  const id = useId();
  const { glass } = useSession();
  const [purpose, setPurpose, clear] = useDraft(`unlock:${lock.id}`);
  const [approval, setApproval] = useState<string>();
  const ask = useAct(async () => {
    const made = await api.askUnlock(lock.id, purpose.trim());
    clear();
    setApproval(made.approval);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask.run();
  };
  return (
    <Dialog title={`Ask to unlock: ${named(lock)}`} onClose={onClose}>
      {approval === undefined ? (
        <form className="stack" onSubmit={submit}>
          <p>Two people must sign. Ask only when you know what caused the lock.</p>
          <div className="field">
            <label htmlFor={id}>
              Why may it be lifted? <span className="hint">5 to 200 characters</span>
            </label>
            <textarea
              id={id}
              required
              minLength={5}
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <Refused problem={ask.problem} />
          <div className="row">
            <button type="submit" className="primary" disabled={ask.busy}>
              Ask to unlock
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </form>
      ) : (
        <div className="stack" role="status">
          <p className="note warn">
            <strong>It waits for two people.</strong> The lock stays until both have signed.
          </p>
          <div className="row">
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** Puts a lock on: one person is enough, at once. */
function PutLock({ onClose }: { onClose: () => void }) {
  const admins = useAnswer('admins', api.admins).data?.items ?? [];
  const [scope, setScope] = useState<Lock['scope']>('directory');
  const [target, setTarget] = useState('');
  const [reason, setReason] = useState('');
  const { glass } = useSession();
  const put = useAct(async () => {
    await api.lock({ scope, target: scope === 'admin' || scope === 'role' ? target : '', reason: reason.trim() });
    onClose();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void put.run();
  };
  return (
    <Dialog title="Put a lock on" onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <fieldset className="builder">
          <legend>What?</legend>
          {CHOICES.map((one) => (
            <label key={one} className="choice">
              <input
                type="radio"
                name="scope"
                checked={scope === one}
                onChange={() => {
                  setScope(one);
                  setTarget('');
                }}
              />
              <span>
                <strong>{SCOPE[one][0]}.</strong> {SCOPE[one][1]}
              </span>
            </label>
          ))}
        </fieldset>
        {scope !== 'admin' && scope !== 'role' ? null : (
          <div className="field">
            <label htmlFor="lock-admin">Which {scope}?</label>
            <select id="lock-admin" required value={target} onChange={(event) => setTarget(event.target.value)}>
              <option value="">Choose one</option>
              {(scope === 'role' ? ROLES : admins.map(({ admin }) => admin)).map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </div>
        )}
        <div className="field">
          <label htmlFor="lock-reason">
            Why? <span className="hint">3 to 200 characters; it goes into the log</span>
          </label>
          <textarea
            id="lock-reason"
            required
            minLength={3}
            maxLength={200}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        </div>
        <p className="small quiet">
          It holds within a second. Two people lift it. If you do not trust this console, put the lock on with one touch{' '}
          <a href={`${glass}/#lock=${scope}&target=${target}`} target="_blank" rel="noopener noreferrer">
            on glass
          </a>
          : it goes straight to both guards.
        </p>
        <Refused problem={put.problem} />
        <div className="row">
          <button type="submit" className="danger" disabled={put.busy}>
            Lock
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function Locks() {
  const answer = useAnswer('locks', api.locks);
  const [asking, setAsking] = useState<Lock>();
  const [putting, setPutting] = useState(false);
  const mayChange = useMayChange();
  return (
    <Frame
      title="Locks"
      aside={
        <button type="button" onClick={() => setPutting(true)}>
          Put a lock on
        </button>
      }
    >
      <p className="quiet">
        Locks contain: they are put on at once, by a rule or a person, and lifted by two people. They never erase.
      </p>
      <Loaded answer={answer}>
        {({ items }) => {
          const on = items.filter((lock) => lock.liftedAt === null);
          const lifted = items.filter((lock) => lock.liftedAt !== null);
          return (
            <>
              {on.length === 0 ? (
                <Empty title="Nothing is locked">
                  The directory can be read within its limits, and approved commands run.
                </Empty>
              ) : (
                <ul>
                  {on.map((lock) => (
                    <li key={lock.id} className="approval">
                      <div>
                        <div className="row">
                          <h2>{named(lock)}</h2>
                          <Chip tone="bad">locked</Chip>
                        </div>
                        <p>{SCOPE[lock.scope][1]}</p>
                        <p className="small quiet">
                          <When at={lock.putAt} /> by <span className="mono">{lock.putBy}</span>: {lock.reason}
                        </p>
                      </div>
                      <div>
                        {mayChange ? (
                          <button type="button" onClick={() => setAsking(lock)}>
                            Ask to unlock
                          </button>
                        ) : null}
                      </div>
                    </li>
                  ))}
                </ul>
              )}
              {lifted.length === 0 ? null : (
                <section className="section">
                  <h2>Lifted</h2>
                  <ul>
                    {lifted.map((lock) => (
                      <li key={lock.id} className="command">
                        <div className="row">
                          {named(lock)} <Chip tone="quiet">lifted</Chip> <When at={lock.liftedAt} />{' '}
                          <span className="quiet">{lock.reason}</span>
                        </div>
                      </li>
                    ))}
                  </ul>
                </section>
              )}
            </>
          );
        }}
      </Loaded>
      {putting ? (
        <PutLock
          onClose={() => {
            setPutting(false);
            answer.reload();
          }}
        />
      ) : null}
      {asking === undefined ? null : (
        <AskUnlock
          lock={asking}
          onClose={() => {
            setAsking(undefined);
            answer.reload();
          }}
        />
      )}
    </Frame>
  );
}
