import { type FormEvent, useCallback, useEffect, useState } from 'react';
import type { Found, Search, Searched } from '../../../src/seal/search-types.ts';
import type { BrowserKey } from './open.ts';
import { Trouble } from './parts.tsx';
import type { touch } from './passkey.ts';
import { openFound, sealQuestion } from './search-question.ts';
import { askSearch, type Published } from './server.ts';

const SHOWN_MS = 60_000;

/** What one touch opened: questions may be asked until the time or the limit is over. */
export interface Opened {
  readonly search: Search;
  readonly assertion: Awaited<ReturnType<typeof touch>>['assertion'];
  readonly pair: BrowserKey;
}

/** Who was found: for a minute, and gone when the tab is hidden. */
function Hits({ found, field, onHide }: { found: Found; field: Searched; onHide: () => void }) {
  useEffect(() => {
    const hidden = () => document.visibilityState === 'hidden' && onHide();
    const timer = setTimeout(onHide, SHOWN_MS);
    document.addEventListener('visibilitychange', hidden);
    addEventListener('pagehide', onHide);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', hidden);
      removeEventListener('pagehide', onHide);
    };
  }, [onHide]);
  if (found.hits.length === 0) {
    return (
      <p className="note info" role="status">
        {field === 'name'
          ? 'Nobody has a name like that. Try fewer letters.'
          : 'Nobody has this number, or it is not indexed yet.'}
      </p>
    );
  }
  return (
    <>
      <div className="scroll">
        <table className="values">
          <thead>
            <tr>
              <th scope="col">Handle</th>
              {field === 'name' ? <th scope="col">Name</th> : null}
              <th scope="col">Open</th>
            </tr>
          </thead>
          <tbody>
            {found.hits.map(({ subject, name }) => (
              <tr key={subject}>
                <th scope="row" className="mono">
                  {subject}
                </th>
                {field === 'name' ? <td>{name}</td> : null}
                <td className="reason">
                  <a href={`#reveal=${field === 'name' ? 'number' : 'name'}&subjects=${subject}`}>
                    {field === 'name' ? 'Reveal number' : 'Reveal name'}
                  </a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {found.more ? <p className="note info">More people match than are shown. Type more of the name.</p> : null}
    </>
  );
}

/** Questions under one touch, one after the other. */
export function Questions(props: { opened: Opened; sealerKey: string; config: Published; onOver: () => void }) {
  const { opened, sealerKey, config, onOver } = props;
  const { search, assertion, pair } = opened;
  const [query, setQuery] = useState('');
  const [seq, setSeq] = useState(1);
  const [found, setFound] = useState<Found>();
  const [hidden, setHidden] = useState(false);
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const hide = useCallback(() => {
    setFound(undefined);
    setQuery('');
    setHidden(true);
  }, []);

  useEffect(() => {
    const timer = setTimeout(onOver, Math.max(0, search.notAfter - Date.now()));
    return () => clearTimeout(timer);
  }, [search.notAfter, onOver]);

  async function ask(event: FormEvent) {
    event.preventDefault();
    setError(undefined);
    setHidden(false);
    setFound(undefined);
    setBusy(true);
    try {
      const asked = search.field === 'number' ? query.replace(/[\s().\-/]/g, '') : query.trim();
      const question = await sealQuestion({ sealerKey, pair, search, seq, query: asked });
      setSeq(seq + 1);
      const answer = await askSearch(search, assertion, question);
      setFound(await openFound({ ledgerKey: config.keys.ledger, pair, search, seq, answer }));
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <form className="stack" onSubmit={ask}>
        <div className="field">
          <label htmlFor="query">
            {search.field === 'name' ? 'Name, or a part of it' : 'The whole number'}{' '}
            <span className="hint">
              {search.field === 'name' ? 'at least two letters; accents do not matter' : 'with + and country'}
            </span>
          </label>
          <input
            id="query"
            type={search.field === 'name' ? 'text' : 'tel'}
            autoComplete="off"
            spellCheck={false}
            maxLength={100}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </div>
        <div className="row">
          <button type="submit" className="primary" disabled={busy || query.trim().length < 2}>
            Search
          </button>
          <button type="button" onClick={onOver}>
            Done
          </button>
          <span role="status">{busy ? 'The guards write it down and look' : ''}</span>
        </div>
      </form>
      <Trouble error={error} />
      {found === undefined ? null : <Hits found={found} field={search.field} onHide={hide} />}
      {hidden ? <p className="note info">What was found is hidden again. Ask anew; it counts again.</p> : null}
      {found === undefined ? null : (
        <p className="quiet small">
          Left under this touch: {found.left.touch}; {search.field === 'name' ? 'names today' : 'numbers this hour'}:{' '}
          {found.left.admin}.
        </p>
      )}
    </>
  );
}
