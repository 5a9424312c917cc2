import { type FormEvent, useCallback, useEffect, useState } from 'react';
import { DEFAULT_CAPS } from '../../../src/seal/messages.ts';
import type { Dehydrate, Found, Search, Searched } from '../../../src/seal/search-types.ts';
import { utc } from '../shared/time.tsx';
import { type BrowserKey, newBrowserKey } from './open.ts';
import { Card, Signer, Trouble } from './parts.tsx';
import { identify, type Known, known, touch } from './passkey.ts';
import { openFound, sealQuestion } from './search-question.ts';
import { askSearch, closeSearch, type Published, type SearchState, searchState } from './server.ts';
import { TouchForm } from './touch-form.tsx';

const TOUCH_MS = 10 * 60_000;
const SHOWN_MS = 60_000;
const LOOK_MS = 3_000;
const WORD: Readonly<Record<Searched, string>> = { name: 'name', number: 'mobile number' };

type One = SearchState['searches'][number];

/** What one touch opened: questions may be asked until the time or the limit is over. */
interface Opened {
  readonly search: Search;
  readonly assertion: Awaited<ReturnType<typeof touch>>['assertion'];
  readonly pair: BrowserKey;
  readonly admin: Known;
}

/** How things stand, in a sentence. */
function Standing({ one, now }: { one: One; now: number }) {
  const { field, until, known, complete, waiting } = one;
  if (until === undefined || until <= now) {
    return field === 'name' ? (
      <p className="note warn">
        <strong>This search is closed.</strong> No name is in any memory. Two administrators open it, from the console’s
        page of people.
      </p>
    ) : (
      <p className="note info">
        Nobody new is being indexed. Numbers that were indexed before are found. Two administrators open the index, from
        the console’s page of people.
      </p>
    );
  }
  const filling = complete === true ? '' : ` ${waiting ?? 0} people are still being taken in; they are not found yet.`;
  return (
    <p className={complete === true ? 'note good' : 'note warn'}>
      Open until {utc(until)}.{known === undefined ? '' : ` ${known.toLocaleString('en')} names.`}
      {filling}
    </p>
  );
}

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

function Questions(props: { opened: Opened; sealerKey: string; config: Published; onOver: () => void }) {
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

/** One touch closes it: for everybody, at once. */
function Close({ field, onClosed, onCancel }: { field: Searched; onClosed: () => void; onCancel: () => void }) {
  const [who, setWho] = useState(known);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  async function close() {
    setError(undefined);
    setBusy(true);
    try {
      const signer = who ?? (await identify());
      setWho(signer);
      const document: Dehydrate = {
        ...{ v: 1, op: 'dehydrate', id: crypto.randomUUID(), admin: signer.admin, field },
        notAfter: Date.now() + 5 * 60_000,
      };
      const { assertion } = await touch(document, signer.credential);
      await closeSearch(document, assertion);
      onClosed();
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <div className="stack">
      <p>
        {field === 'name'
          ? 'The names leave the guard’s memory at once.'
          : 'The tags of all numbers are deleted at once.'}{' '}
        Nobody can search any more; two people open it again.
      </p>
      <Signer who={who} onForget={() => setWho(undefined)} />
      <Trouble error={error} />
      <div className="row">
        <button type="button" className="primary" disabled={busy} onClick={close}>
          Touch and close
        </button>
        <button type="button" onClick={onCancel}>
          Leave it open
        </button>
      </div>
    </div>
  );
}

function SearchCard({
  field,
  state,
  config,
  onLook,
}: {
  field: Searched;
  state: SearchState;
  config: Published;
  onLook: () => void;
}) {
  const [purpose, setPurpose] = useState('');
  const [opened, setOpened] = useState<Opened>();
  const [closing, setClosing] = useState(false);
  const over = useCallback(() => setOpened(undefined), []);
  const now = Date.now();
  const one = state.searches.find((each) => each.field === field);
  const other = state.searches.find((each) => each.field !== field);
  if (one === undefined) {
    return (
      <Card title={`Search by ${WORD[field]}`}>
        <p className="note info">
          This search is switched off here. Whoever runs the server switches it on with{' '}
          <code className="mono">bartizan search</code>.
        </p>
        {other === undefined ? null : <a href={`#search=${other.field}`}>Search by {WORD[other.field]}</a>}
      </Card>
    );
  }
  const open = one.until !== undefined && one.until > now;
  const cap = (config.caps ?? DEFAULT_CAPS).perTouch;

  async function begin(admin: Known, why: string) {
    const { pair, publicKey } = await newBrowserKey();
    const search: Search = {
      ...{ v: 1, op: 'search', id: crypto.randomUUID(), admin: admin.admin, field, cap, purpose: why },
      ...{ notAfter: Date.now() + TOUCH_MS, browserKey: publicKey },
    };
    const { assertion } = await touch(search, admin.credential);
    setOpened({ search, assertion, pair, admin });
  }

  return (
    <Card title={`Search by ${WORD[field]}`}>
      {other === undefined ? null : (
        <p>
          <a href={`#search=${other.field}`}>Search by {WORD[other.field]} instead</a>
        </p>
      )}
      <Standing one={one} now={now} />
      {!open && field === 'name' ? (
        <p>
          <a className="button" href={`${config.console}/people`}>
            Go to the page of people
          </a>
        </p>
      ) : closing ? (
        <Close
          field={field}
          onCancel={() => setClosing(false)}
          onClosed={() => {
            setClosing(false);
            onLook();
          }}
        />
      ) : opened === undefined ? (
        <TouchForm
          question="Why do you search?"
          reader="the people found"
          button="Touch and search"
          purpose={purpose}
          onPurpose={setPurpose}
          work={begin}
        >
          <p className="quiet small">
            One touch lets you ask for ten minutes and shows at most {cap} {field === 'name' ? 'names' : 'answers'}.
            Each question is written down before it is answered: not what you typed, but who was found.
          </p>
        </TouchForm>
      ) : (
        <Questions opened={opened} sealerKey={state.key} config={config} onOver={over} />
      )}
      {(open || field === 'number') && opened === undefined && !closing ? (
        <p>
          <button type="button" onClick={() => setClosing(true)}>
            Close this search for everybody
          </button>
        </p>
      ) : null}
    </Card>
  );
}

/** Looks people up by name or number; what is typed leaves this page sealed to one guard. */
export function SearchPage({ field, config }: { field: Searched; config: Published }) {
  const [state, setState] = useState<SearchState>();
  const [error, setError] = useState<Error>();
  const look = useCallback(() => {
    searchState().then(
      (now) => {
        setState(now);
        setError(undefined);
      },
      (caught: Error) => setError(caught),
    );
  }, []);
  useEffect(() => {
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [look]);
  if (state === undefined) {
    return <Card title="Search">{error === undefined ? <p role="status">Loading</p> : <Trouble error={error} />}</Card>;
  }
  return <SearchCard field={field} state={state} config={config} onLook={look} />;
}
