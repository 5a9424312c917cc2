import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

interface OneSearch {
  readonly field: 'name' | 'number';
  readonly hours: number;
  readonly until: string | null;
  readonly known: number | null;
  readonly complete: boolean;
  readonly waiting: number;
}

const WORD = { name: 'name', number: 'mobile number' } as const;

function OpenDialog({ one, onClose }: { one: OneSearch; onClose: () => void }) {
  const { glass } = useSession();
  const [hours, setHours] = useState(Math.min(8, one.hours));
  const [purpose, setPurpose] = useState('');
  const [approval, setApproval] = useState<string>();
  const ask = useAct(async () => {
    const body = { field: one.field, hours, purpose: purpose.trim() };
    setApproval((await send<{ approval: string }>('POST', '/search/openings', body)).approval);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    return ask.run();
  };
  return (
    <Dialog title={`Open the search by ${WORD[one.field]}`} onClose={onClose}>
      {approval === undefined ? (
        <form className="stack" onSubmit={submit}>
          <p>
            {one.field === 'name'
              ? 'Everybody’s name enters the memory of one guard and stays there while the search is open. Whoever breaks into that guard meanwhile can read them all. Open it when it is needed, and close it after.'
              : 'One guard opens every number once, to make tags of them that neither guard can make alone. Whoever breaks into that guard meanwhile can read them all.'}
          </p>
          <div className="field">
            <label htmlFor="search-hours">
              Hours <span className="hint">at most {one.hours}</span>
            </label>
            <input
              id="search-hours"
              type="number"
              min={1}
              max={one.hours}
              value={hours}
              onChange={(event) => setHours(Number(event.target.value))}
            />
          </div>
          <div className="field">
            <label htmlFor="search-purpose">
              Why? <span className="hint">5 to 200 characters</span>
            </label>
            <textarea
              id="search-purpose"
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

/** Whether people can be searched on glass, and how it is opened. Nothing where it is switched off. */
export function PeopleSearch() {
  const { glass } = useSession();
  const mayChange = useMayChange();
  const [opening, setOpening] = useState<OneSearch>();
  const { data } = useAnswer('people-search', (signal) => call<{ items: readonly OneSearch[] }>('/search', { signal }));
  if (data === undefined || data.items.length === 0) return null;
  return (
    <section className="stack tight" aria-label="Search on glass">
      {data.items.map((one) => (
        <p key={one.field} className="row">
          <GlassLink glass={glass} task={`search=${one.field}`}>
            Search by {WORD[one.field]}
          </GlassLink>
          <span className="quiet small">
            {one.until === null ? (
              'closed'
            ) : (
              <>
                open until <When at={one.until} />
                {one.complete ? '' : `, ${one.waiting} still to come`}
              </>
            )}
          </span>
          {mayChange && one.until === null ? (
            <button
              type="button"
              className="plain"
              aria-label={`Open the search by ${WORD[one.field]}`}
              onClick={() => setOpening(one)}
            >
              Open
            </button>
          ) : null}
        </p>
      ))}
      {opening === undefined ? null : <OpenDialog one={opening} onClose={() => setOpening(undefined)} />}
    </section>
  );
}
