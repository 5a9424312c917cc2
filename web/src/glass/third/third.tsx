import { type ReactNode, useEffect, useState } from 'react';
import type { ThirdLock, ThirdState } from '../../../../src/seal/third-types.ts';
import { saveFile } from '../../shared/save-file.ts';
import { utc } from '../../shared/time.tsx';
import { Card, Signer, Trouble } from '../parts.tsx';
import { identify, type Known, known } from '../passkey.ts';
import { type Published, thirdState } from '../server.ts';
import { makeThird, registerPasskey, shareRecovered, shareWith, withoutBox } from './acts.ts';

const PLACE = 'bartizan.third';

/** The third lock that was made in this browser, to compare with what others are asked to sign. */
const madeHere = (): string | null => localStorage.getItem(PLACE);

function Holders({ state }: { state: ThirdState }) {
  const has = new Set(state.boxes.map(({ credential }) => credential));
  if (state.keys.length === 0) return <p className="quiet">Nobody has registered a passkey for it yet.</p>;
  const there = state.inForce !== null || state.proposed !== null;
  return (
    <div className="scroll">
      <table className="values">
        <thead>
          <tr>
            <th scope="col">Who</th>
            <th scope="col">Passkey</th>
            <th scope="col">Opens it</th>
          </tr>
        </thead>
        <tbody>
          {state.keys.map(({ admin, credential }) => (
            <tr key={credential}>
              <th scope="row" className="mono">
                {admin}
              </th>
              <td className="mono">…{credential.slice(-8)}</td>
              <td>{there ? (has.has(credential) ? 'yes' : 'not yet') : 'when it is made'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Standing({ state }: { state: ThirdState }) {
  const here = madeHere();
  if (state.inForce !== null) {
    return (
      <div className="note good">
        <p>
          <strong>In force.</strong> Names, numbers and addresses open with these passkeys alone. No server can open
          them, both guards together cannot, and none can take it off. Whoever serves this page could take what is
          opened in it, so check its address.
        </p>
        <p className="mono">{state.inForce}</p>
      </div>
    );
  }
  if (state.proposed !== null) {
    const { key, admin, at } = state.proposed;
    return (
      <div className="note warn">
        <p>
          <strong>Made by {admin}, not in force.</strong> On {utc(at)}. In the console, under Keys, change the key “with
          the third lock”; two people sign. Compare this with what they sign:
        </p>
        <p className="mono">{key}</p>
        {here === null ? null : (
          <p>
            {here === key
              ? 'It is the one that was made in this browser.'
              : 'It is NOT the one that was made in this browser. Do not sign it.'}
          </p>
        )}
      </div>
    );
  }
  return (
    <p className="note info">
      <strong>Off.</strong> Without it whoever owns both guards and the database reads everything. With it search,
      messages to people and exports are off for good, and who loses every passkey and the recovery key loses the
      directory.
    </p>
  );
}

function readBoxes(text: string): { key: string; boxes: ThirdLock['boxes'] } {
  const read = JSON.parse(text) as { key?: unknown; boxes?: unknown };
  if (typeof read.key !== 'string' || !Array.isArray(read.boxes)) throw new Error();
  return { key: read.key, boxes: read.boxes as ThirdLock['boxes'] };
}

function Recovery({
  state,
  org,
  work,
}: {
  state: ThirdState;
  org: string;
  work: (act: (who: Known) => Promise<void>) => void;
}) {
  const [trouble, setTrouble] = useState<Error>();
  const file = JSON.stringify(
    { v: 1, org, key: state.inForce, recovery: state.recovery, keys: withoutBox(state) },
    null,
    2,
  );
  return (
    <details>
      <summary>Nobody who can open it is here any more</summary>
      <div className="stack">
        <p>
          Give this file to those who hold the recovery cards. On a machine without network they make boxes of it with{' '}
          <span className="mono">bartizan third-lock recover</span>; bring those back here.
        </p>
        <p>
          <button
            type="button"
            onClick={() => saveFile('third-lock.json', new Blob([file], { type: 'application/json' }))}
          >
            Fetch the file
          </button>
        </p>
        <label>
          Boxes from the recovery key{' '}
          <input
            type="file"
            accept="application/json"
            onChange={async (event) => {
              setTrouble(undefined);
              try {
                const { key, boxes } = readBoxes((await event.target.files?.[0]?.text()) ?? '');
                work((who) => shareRecovered(who, key, boxes));
              } catch {
                setTrouble(new Error('This is not a file of boxes. Nothing was sent.'));
              }
            }}
          />
        </label>
        <Trouble error={trouble} />
      </div>
    </details>
  );
}

/** The third lock: whose passkeys open it, how it is made, and how more are let in. */
export function ThirdPage({ config }: { config: Published }) {
  const [state, setState] = useState<ThirdState>();
  const [who, setWho] = useState(known);
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();
  const { org } = config.keys;
  useEffect(() => {
    thirdState().then(setState, setError);
  }, []);

  function work(act: (signer: Known) => Promise<void>) {
    const run = async () => {
      setError(undefined);
      setBusy('Touch your security key');
      const signer = who ?? (await identify());
      setWho(signer);
      await act(signer);
      setState(await thirdState());
    };
    run()
      .catch(setError)
      .finally(() => setBusy(undefined));
  }
  const button = (label: string, act: (signer: Known) => Promise<void>, primary = false): ReactNode => (
    <button type="button" className={primary ? 'primary' : ''} disabled={busy !== undefined} onClick={() => work(act)}>
      {label}
    </button>
  );

  if (state === undefined) {
    return (
      <Card title="Third lock">
        {error === undefined ? <p role="status">Asking the ledger</p> : <Trouble error={error} />}
      </Card>
    );
  }
  const { inForce, proposed, keys } = state;
  const people = new Set(keys.map(({ admin }) => admin)).size;
  const mine = who !== undefined && keys.some(({ credential }) => credential === who.credential);
  const opens = who !== undefined && state.boxes.some(({ credential }) => credential === who.credential);
  const waiting = withoutBox(state);
  const there = inForce !== null || proposed !== null;
  return (
    <Card title="Third lock">
      <Standing state={state} />
      <Holders state={state} />
      <Signer who={who} onForget={() => setWho(undefined)} />
      <Trouble error={error} />
      <div className="row">
        {mine ? null : button('Register my passkey', (signer) => registerPasskey(signer, setBusy), true)}
        {inForce === null && people >= 2
          ? button(there ? 'Make another one' : 'Make the third lock', async (signer) => {
              localStorage.setItem(PLACE, await makeThird(signer, org, state));
            })
          : null}
        {there && opens && waiting.length > 0
          ? button(`Let ${waiting.length} more in`, (signer) => shareWith(signer, org, state, setBusy), true)
          : null}
        <span role="status">{busy}</span>
      </div>
      {people < 2 ? <p className="quiet small">At least two people register a passkey before it can be made.</p> : null}
      {inForce !== null && state.recovery !== null ? <Recovery state={state} org={org} work={work} /> : null}
    </Card>
  );
}
