import { useState } from 'react';
import { saveFile } from '../../shared/save-file.ts';
import { Sheet } from '../../shared/sheet.tsx';
import type { SheetPage } from '../../shared/sheet-page.ts';
import { utc } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { Frame, GlassLink, Loaded, Refused } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

interface History extends SheetPage {
  readonly left: boolean;
  readonly next: number | null;
  /** When the rows were deleted, after the lock. */
  readonly rowsGoneAt: string | null;
  readonly verifier: string;
}

const one = encodeURIComponent;

/** The link is shown here once and kept nowhere. */
function OwnLink({ handle }: { handle: string }) {
  const [link, setLink] = useState<string>();
  const make = useAct(async () => {
    setLink((await send<{ link: string }>('POST', `/people/${one(handle)}/sheet`)).link);
  });
  return (
    <section className="stack tight" aria-label="The person’s own view">
      <h2>Let this person see it</h2>
      <p className="quiet">
        A link that works once, for seven days. Hand it over in a way that reaches only this person: it says who they
        are.
      </p>
      <Refused problem={make.problem} />
      {link === undefined ? (
        <div>
          <button type="button" disabled={make.busy} onClick={() => make.run()}>
            Make a link
          </button>
        </div>
      ) : (
        <p className="note info">
          Shown once, kept nowhere: <span className="mono wrap-anywhere">{link}</span>
        </p>
      )}
    </section>
  );
}

/** What can be handed to whoever asks for proof: entries with all that re-derives them, and the checkpoint. */
const saveAs = (name: string, value: unknown): void =>
  saveFile(name, new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: 'application/json' }));

/** One person: who looked at their data, from the log and with proofs; the end, and its certificate. */
export function PersonPage({ handle }: { handle: string }) {
  const { glass } = useSession();
  const mayChange = useMayChange();
  const answer = useAnswer(`history:${handle}`, (signal) =>
    call<History>(`/people/${one(handle)}/history`, { signal }),
  );
  return (
    <Frame
      title={handle}
      mono
      aside={
        mayChange && answer.data !== undefined && !answer.data.left ? (
          <GlassLink glass={glass} task={`leave=${handle}`}>
            Erase: has left
          </GlassLink>
        ) : undefined
      }
    >
      <Loaded answer={answer}>
        {(history) => {
          const { entries, checkpoint, verifier } = history;
          const erased = entries.find((entry) => entry.kind === 'directory.erased');
          return (
            <>
              {history.left ? (
                <div className="note info">
                  <strong>Has left and was erased.</strong>{' '}
                  {erased === undefined ? '' : `The lock was destroyed at ${utc(erased.time)}, entry ${erased.leaf}. `}
                  {history.rowsGoneAt === null
                    ? 'The rows are being deleted.'
                    : `The rows were deleted at ${utc(history.rowsGoneAt)}.`}
                  {erased === undefined ? null : (
                    <p className="row">
                      <button
                        type="button"
                        onClick={() =>
                          saveAs(`erasure-${handle}.json`, { handle, entry: erased, checkpoint, verifier })
                        }
                      >
                        Save the certificate
                      </button>
                    </p>
                  )}
                </div>
              ) : null}
              <section className="stack tight" aria-label="Who looked">
                <h2>Who looked at this person’s data</h2>
                <Sheet pages={[history]} verifier={verifier} />
                {history.next === null ? null : <p className="quiet">Older entries are not shown.</p>}
                <div className="row">
                  <button type="button" onClick={() => print()}>
                    Print
                  </button>
                  <button type="button" onClick={() => saveAs(`history-${handle}.json`, { handle, ...history })}>
                    Save with proofs
                  </button>
                </div>
              </section>
              {history.left ? null : <OwnLink handle={handle} />}
            </>
          );
        }}
      </Loaded>
    </Frame>
  );
}
