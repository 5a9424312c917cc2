import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import type { Page } from '../model.ts';
import { Dialog, GlassLink, PersonLink, Refused } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

interface WaitingChange {
  readonly subject: string;
  readonly field: string;
  readonly version: number;
  readonly writtenBy: string;
  readonly arrivedAt: string;
  readonly until: string;
}

const FIELD: Readonly<Record<string, string>> = { number: 'mobile number', email: 'e-mail address' };

function ReleaseDialog({ change, onClose }: { change: WaitingChange; onClose: () => void }) {
  const { glass } = useSession();
  const [purpose, setPurpose] = useState('');
  const [approval, setApproval] = useState<string>();
  const { subject, field, version } = change;
  const ask = useAct(async () => {
    const body = { subject, field, version, purpose: purpose.trim() };
    setApproval((await send<{ approval: string }>('POST', '/people/changes/release', body)).approval);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    return ask.run();
  };
  return (
    <Dialog title="Let it in before its time" onClose={onClose}>
      {approval === undefined ? (
        <form className="stack" onSubmit={submit}>
          <p>
            Ring the person at the number that is stored now and ask whether the change is theirs. Then two people sign.
          </p>
          <div className="field">
            <label htmlFor="release-purpose">
              Why? <span className="hint">5 to 200 characters, without names or numbers</span>
            </label>
            <textarea
              id="release-purpose"
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <Refused problem={ask.problem} />
          <div className="row">
            <button type="submit" className="primary" disabled={ask.busy || purpose.trim().length < 5}>
              Ask two people
            </button>
            <button type="button" className="plain" onClick={onClose}>
              Cancel
            </button>
          </div>
        </form>
      ) : (
        <>
          <p className="note warn">
            <strong>It waits for two people.</strong> Until then, and for its whole day otherwise, the present one
            counts.
          </p>
          <div className="row">
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

/** Changed numbers and addresses that wait; nothing is shown where there are none. */
export function WaitingChanges() {
  const { glass } = useSession();
  const mayChange = useMayChange();
  const [open, setOpen] = useState<WaitingChange>();
  const { data } = useAnswer('people-changes', (signal) => call<Page<WaitingChange>>('/people/changes', { signal }));
  if (data === undefined || data.items.length === 0) return null;
  return (
    <section className="stack tight" aria-label="Changes that wait">
      <h2>{data.items.length === 1 ? 'One change waits' : `${data.items.length} changes wait`}</h2>
      <p className="quiet">
        A changed number or address counts after a day, so that nobody redirects it in silence. Until then the present
        one is used.
      </p>
      <div className="scroll">
        <table className="list">
          <thead>
            <tr>
              <th scope="col">Person</th>
              <th scope="col">What</th>
              <th scope="col">From</th>
              <th scope="col">Counts</th>
              <th scope="col">
                <span className="hidden-visually">Decide</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((change) => (
              <tr key={`${change.subject} ${change.field} ${change.version}`}>
                <th scope="row">
                  <PersonLink handle={change.subject} />
                </th>
                <td>{FIELD[change.field] ?? change.field}</td>
                <td>{change.writtenBy}</td>
                <td>
                  <When at={change.until} />
                </td>
                <td>
                  {mayChange ? (
                    <span className="row">
                      <GlassLink
                        glass={glass}
                        task={`cancel-change=${change.field}&subject=${change.subject}&version=${change.version}`}
                      >
                        Turn away
                      </GlassLink>
                      <button type="button" onClick={() => setOpen(change)}>
                        Let in now
                      </button>
                    </span>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {open === undefined ? null : <ReleaseDialog change={open} onClose={() => setOpen(undefined)} />}
    </section>
  );
}
