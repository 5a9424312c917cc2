import { type FormEvent, useState } from 'react';
import { LEAVING_PER_HOUR, MOST_LEAVING } from '../../../../src/seal/messages.ts';
import { send } from '../client.ts';
import { useAct } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';

/** People who left: a few by one touch on glass, more by two people. */
export function LeaveDialog({ handles, onClose }: { handles: readonly string[]; onClose: () => void }) {
  const { glass } = useSession();
  const [purpose, setPurpose] = useState('');
  const [wrong, setWrong] = useState(false);
  const [approval, setApproval] = useState<string>();
  const ask = useAct(async () => {
    const body = { handles, purpose: purpose.trim() };
    setApproval((await send<{ approval: string }>('POST', '/people/leave', body)).approval);
  });
  const title = handles.length === 1 ? 'Erase one person' : `Erase ${handles.length} people`;
  if (approval !== undefined) {
    return (
      <Dialog title={title} onClose={onClose}>
        <p className="note warn">
          <strong>It waits for two people.</strong> Nothing is erased until both have signed exactly this list.
        </p>
        <div className="row">
          <GlassLink glass={glass} task={`approve=${approval}`} primary>
            Review and sign
          </GlassLink>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </Dialog>
    );
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const length = purpose.trim().length;
    if (length < 5 || length > 200) return setWrong(true);
    setWrong(false);
    return ask.run();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        Their locks are destroyed: nothing of theirs opens again, in any copy. Devices stay, with the handle of a holder
        who has left.
      </p>
      {handles.length <= LEAVING_PER_HOUR ? (
        <div className="row">
          <GlassLink glass={glass} task={`leave=${handles.join(',')}`} primary>
            Erase with my own key
          </GlassLink>
          <span className="quiet small">at most {LEAVING_PER_HOUR} people an hour, over all administrators</span>
        </div>
      ) : null}
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor="leave-purpose">
            Or ask two people: why? <span className="hint">5 to 200 characters, at most {MOST_LEAVING} people</span>
          </label>
          <textarea
            id="leave-purpose"
            maxLength={200}
            value={purpose}
            aria-invalid={wrong}
            onChange={(event) => setPurpose(event.target.value)}
          />
          <span className="field-error">{wrong ? 'Say in 5 to 200 characters why.' : ''}</span>
        </div>
        <Refused problem={ask.problem} />
        <div className="row">
          <button type="submit" disabled={ask.busy || handles.length > MOST_LEAVING}>
            Ask two people
          </button>
          <button type="button" className="plain" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
