import { type FormEvent, useState } from 'react';
import { EXPORTED, type Exported } from '../../../../src/seal/export.ts';
import { send } from '../client.ts';
import { useAct } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

const WORD: Readonly<Record<Exported, string>> = { name: 'Names', number: 'Mobile numbers', email: 'E-mail addresses' };

function ExportDialog({ onClose }: { onClose: () => void }) {
  const { glass } = useSession();
  const [fields, setFields] = useState<readonly Exported[]>(EXPORTED);
  const [recipients, setRecipients] = useState('');
  const [purpose, setPurpose] = useState('');
  const [approval, setApproval] = useState<string>();
  const named = recipients.split(/\s+/).filter((one) => one !== '');
  const ask = useAct(async () => {
    const body = { fields, recipients: named, purpose: purpose.trim() };
    setApproval((await send<{ approval: string }>('POST', '/people/export', body)).approval);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    return ask.run();
  };
  return (
    <Dialog title="Export everybody" onClose={onClose}>
      {approval === undefined ? (
        <form className="stack" onSubmit={submit}>
          <p>
            One file with everybody, encrypted by a guard to the recipients that you name; nobody here can open it. It
            takes two people, counts in full, and everybody in it counts as exposed.
          </p>
          <fieldset className="stack tight">
            <legend>What goes into it</legend>
            {EXPORTED.map((field) => (
              <label key={field} className="row">
                <input
                  type="checkbox"
                  checked={fields.includes(field)}
                  onChange={() =>
                    setFields(fields.includes(field) ? fields.filter((one) => one !== field) : [...fields, field])
                  }
                />
                {WORD[field]}
              </label>
            ))}
          </fieldset>
          <div className="field">
            <label htmlFor="export-recipients">
              Recipients <span className="hint">age public keys, one a line, five at most</span>
            </label>
            <textarea
              id="export-recipients"
              className="mono"
              spellCheck={false}
              maxLength={500}
              value={recipients}
              onChange={(event) => setRecipients(event.target.value)}
            />
          </div>
          <div className="field">
            <label htmlFor="export-purpose">
              Why? <span className="hint">5 to 200 characters, without names or numbers</span>
            </label>
            <textarea
              id="export-purpose"
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <Refused problem={ask.problem} />
          <div className="row">
            <button
              type="submit"
              className="primary"
              disabled={ask.busy || purpose.trim().length < 5 || named.length === 0 || fields.length === 0}
            >
              Ask two people
            </button>
            <button type="button" className="plain" onClick={onClose}>
              Cancel
            </button>
          </div>
        </form>
      ) : (
        <div className="stack">
          <p className="note warn">
            It waits for two signatures. The file is fetched on glass afterwards, for an hour.
          </p>
          <div className="row">
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <GlassLink glass={glass} task={`export=${approval}`}>
              The file
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

/** The way to ask for an export of everybody. */
export function PeopleExport() {
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(false);
  if (!mayChange) return null;
  return (
    <>
      <button type="button" onClick={() => setAsking(true)}>
        Export everybody
      </button>
      {asking ? <ExportDialog onClose={() => setAsking(false)} /> : null}
    </>
  );
}
