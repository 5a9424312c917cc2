import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { useAct, useDraft } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { type Asked, rosterApi } from './roster-api.ts';

/** Asks the quorum for one change: what, why, and then the links to glass. */
export function AskRoster(props: {
  title: string;
  change: () => object;
  needs: number;
  onClose: () => void;
  children?: ReactNode;
}) {
  const { title, change, needs, onClose, children } = props;
  const id = useId();
  const { glass } = useSession();
  const [purpose, setPurpose, clear] = useDraft(`roster:${title}`);
  const [asked, setAsked] = useState<Asked>();
  const ask = useAct(async () => {
    setAsked(await rosterApi.change(change(), purpose.trim()));
    clear();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask.run();
  };
  if (asked !== undefined) {
    return (
      <Dialog title={title} onClose={onClose}>
        <p className="note warn">
          <strong>It waits for {needs} people.</strong> Nothing changes until they have signed, within 24 hours.
        </p>
        {asked.links.length === 0 ? null : (
          <>
            <p>
              <strong>Copy now; this is shown once.</strong> Each link works for one passkey, after everybody has
              signed.
            </p>
            <ul className="stack">
              {asked.links.map(({ admin, link }) => (
                <li key={admin}>
                  <span className="mono">{admin}</span>
                  <p className="link-box">{link}</p>
                </li>
              ))}
            </ul>
            <div>
              <button
                type="button"
                onClick={() =>
                  navigator.clipboard.writeText(asked.links.map(({ admin, link }) => `${admin} ${link}`).join('\n'))
                }
              >
                Copy {asked.links.length === 1 ? 'the link' : 'the links'}
              </button>
            </div>
          </>
        )}
        <div className="row">
          <GlassLink glass={glass} task={`approve=${asked.approval}`} primary>
            Review and sign
          </GlassLink>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        {children}
        <div className="field">
          <label htmlFor={id}>
            Why? <span className="hint">5 to 200 characters; it goes into the log</span>
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
            Ask for {needs} signatures
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
