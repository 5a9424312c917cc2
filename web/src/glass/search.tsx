import { useCallback, useEffect, useState } from 'react';
import { DEFAULT_CAPS } from '../../../src/seal/messages.ts';
import type { Dehydrate, Search, Searched } from '../../../src/seal/search-types.ts';
import { utc } from '../shared/time.tsx';
import { newBrowserKey } from './open.ts';
import { Card, Signer, Trouble } from './parts.tsx';
import { identify, type Known, known, touch } from './passkey.ts';
import { type Opened, Questions } from './search-questions.tsx';
import { closeSearch, type Published, type SearchState, searchState } from './server.ts';
import { TouchForm } from './touch-form.tsx';

const TOUCH_MS = 10 * 60_000;
const LOOK_MS = 3_000;
const WORD: Readonly<Record<Searched, string>> = { name: 'name', number: 'mobile number' };

type One = SearchState['searches'][number];

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
    setOpened({ search, assertion, pair });
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
