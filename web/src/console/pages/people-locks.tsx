import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

interface Rotation {
  readonly last: { readonly startedAt: string; readonly doneAt: string | null; readonly left: number } | null;
}

function AskDialog({ onClose }: { onClose: () => void }) {
  const { glass } = useSession();
  const [purpose, setPurpose] = useState('');
  const [approval, setApproval] = useState<string>();
  const ask = useAct(async () => {
    setApproval((await send<{ approval: string }>('POST', '/people/rotation', { purpose: purpose.trim() })).approval);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    return ask.run();
  };
  return (
    <Dialog title="Give everybody a new lock" onClose={onClose}>
      {approval === undefined ? (
        <form className="stack" onSubmit={submit}>
          <p>
            The ledger puts each row under a new lock and destroys the old one; nothing is opened to anybody. Do this
            when a copy of the locks may be in other hands: what it opens of older copies of the database stays open,
            what is stored from now on does not.
          </p>
          <div className="field">
            <label htmlFor="rotate-purpose">
              Why? <span className="hint">5 to 200 characters</span>
            </label>
            <textarea
              id="rotate-purpose"
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
        <div className="row">
          <GlassLink glass={glass} task={`approve=${approval}`} primary>
            Review and sign
          </GlassLink>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      )}
    </Dialog>
  );
}

/** When everybody last got a new lock, and the way to ask for the next. */
export function LockRotation() {
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(false);
  const { data } = useAnswer('people-rotation', (signal) => call<Rotation>('/people/rotation', { signal }));
  if (data === undefined) return null;
  const { last } = data;
  return (
    <p className="quiet small row">
      <span>
        {last === null ? 'Everybody has the lock that they got first.' : null}
        {last?.doneAt === null ? `New locks: ${last.left} still to come.` : null}
        {last?.doneAt ? (
          <>
            Everybody got a new lock <When at={last.doneAt} />.
          </>
        ) : null}
      </span>
      {mayChange ? (
        <button type="button" className="plain" onClick={() => setAsking(true)}>
          New locks for everybody
        </button>
      ) : null}
      {asking ? <AskDialog onClose={() => setAsking(false)} /> : null}
    </p>
  );
}
