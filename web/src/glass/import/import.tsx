import { type ChangeEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import type { PlainPerson } from '../../../../src/people/judge.ts';
import { Card, Signer, Trouble } from '../parts.tsx';
import { identify, known } from '../passkey.ts';
import type { Published } from '../server.ts';
import { judge } from './judge.ts';
import { inParts, type Parts } from './permit.ts';
import { fingerprint, pin, pinned } from './pin.ts';
import { sealPeople, shuffled } from './seal.ts';
import { announce, begin, cancel, commonDomain, finish, type Sending, sendParts } from './send.ts';
import { WHY } from './words.ts';

interface Refused {
  readonly line: number;
  readonly code: string;
}

type Step =
  | { readonly at: 'choose' }
  | { readonly at: 'refused'; readonly lines: readonly Refused[] }
  | { readonly at: 'judged'; readonly people: readonly PlainPerson[] }
  | { readonly at: 'sealed'; readonly sending: Sending; readonly parts: Parts; readonly domain: string }
  | { readonly at: 'stopped'; readonly sending: Sending; readonly parts: Parts }
  | { readonly at: 'done'; readonly people: number; readonly known: number };

interface Progress {
  readonly what: string;
  readonly part: number;
  readonly left: string;
}

const number = (n: number) => n.toLocaleString('en').replaceAll(',', '\u202f');

/** How long the rest will take, from what is done. */
function remaining(startedAt: number, part: number): string {
  const passed = (performance.now() - startedAt) / 1000;
  if (part < 0.02 || passed < 1) return '';
  const seconds = Math.ceil((passed / part) * (1 - part));
  return seconds >= 90 ? `about ${Math.round(seconds / 60)} minutes left` : `about ${seconds} seconds left`;
}

/** Compares the ledger's key with the one this browser knows. */
function Keys({ config, onFit }: { config: Published; onFit: (fits: boolean) => void }) {
  const [print, setPrint] = useState('');
  const before = pinned();
  const fits = before === config.keys.ledger;
  useEffect(() => {
    void fingerprint(config.keys.ledger).then(setPrint);
    onFit(fits);
  }, [config, fits, onFit]);
  if (fits) {
    return (
      <p className="quiet small">
        Sealed to keys that the ledger vouches for, whose own key this browser has known before:{' '}
        <span className="mono">{print}</span>
      </p>
    );
  }
  if (before !== undefined) {
    return (
      <div className="note bad">
        <strong>This site answers with another ledger than before.</strong>
        <p>Nothing can be sent. Tell your security team, with this mark: {print}</p>
      </div>
    );
  }
  return (
    <div className="note warn">
      <p>
        This browser meets this installation’s ledger for the first time. Compare its mark with what{' '}
        <span className="mono">bartizan people keys</span> prints on the server:
      </p>
      <p className="mono">{print}</p>
      <button
        type="button"
        onClick={() => {
          pin(config.keys);
          onFit(true);
        }}
      >
        It is the same
      </button>
    </div>
  );
}

function Lines({ lines }: { lines: readonly Refused[] }) {
  return (
    <>
      <div className="note bad">
        <strong>Nothing was sent.</strong>
        <p>
          {lines.length === 1 ? 'One line is' : `${number(lines.length)} lines are`} not right. Correct the file and
          choose it again.
        </p>
      </div>
      <table className="values">
        <thead>
          <tr>
            <th scope="col">Line</th>
            <th scope="col">What is wrong</th>
          </tr>
        </thead>
        <tbody>
          {lines.slice(0, 100).map(({ line, code }) => (
            <tr key={`${line} ${code}`}>
              <th scope="row">{line}</th>
              <td className="reason">
                {WHY[code] ?? code} <span className="quiet small mono">{code}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Bar({ progress, onCancel }: { progress: Progress; onCancel: () => void }) {
  return (
    <div className="stack">
      <p role="status">
        {progress.what} <span className="quiet">{progress.left}</span>
      </p>
      <progress aria-label={progress.what} max={1} value={progress.part} />
      <div className="row">
        <button type="button" onClick={onCancel}>
          Stop
        </button>
      </div>
    </div>
  );
}

/** People from a CSV file: read, judged and sealed in this browser; what leaves it is ciphertext. */
export function Import({ config }: { config: Published }) {
  const [step, setStep] = useState<Step>({ at: 'choose' });
  const [progress, setProgress] = useState<Progress>();
  const [error, setError] = useState<Error>();
  const [fits, setFits] = useState(false);
  const [who, setWho] = useState(known);
  const [source, setSource] = useState('csv');
  const stop = useRef(new AbortController());
  const busy = progress !== undefined;

  useEffect(() => {
    if (!busy && step.at !== 'sealed' && step.at !== 'stopped') return;
    const stay = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', stay);
    return () => removeEventListener('beforeunload', stay);
  }, [busy, step]);

  /** Runs one stage with its progress; an abort leads back to where nothing was sent. */
  async function run(what: string, work: (told: (part: number) => void, signal: AbortSignal) => Promise<Step>) {
    setError(undefined);
    stop.current = new AbortController();
    const { signal } = stop.current;
    const startedAt = performance.now();
    let shownAt = 0;
    setProgress({ what, part: 0, left: '' });
    try {
      setStep(
        await work((part) => {
          const now = performance.now();
          if (now - shownAt < 200 && part < 1) return;
          shownAt = now;
          setProgress({ what, part, left: remaining(startedAt, part) });
        }, signal),
      );
    } catch (caught) {
      if (!signal.aborted) setError(caught as Error);
    } finally {
      setProgress(undefined);
    }
  }

  const signer = async () => {
    const found = who ?? (await identify());
    setWho(found);
    return found;
  };

  const choose = (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = '';
    if (file === undefined) return;
    void run('Reading and judging the file', async (told) => {
      const judged = await judge(file, config.numbers, told);
      if ('refused' in judged) return { at: 'refused', lines: judged.refused };
      return { at: 'judged', people: shuffled(judged.people) };
    });
  };

  const seal = (people: readonly PlainPerson[]) =>
    run(`Sealing ${number(people.length)} people in this browser`, async (told, signal) => {
      const sending: Sending = { keys: config.keys, id: crypto.randomUUID(), count: people.length };
      const places = await begin(sending, await signer(), people, source, () => told(0));
      const lines = await sealPeople({
        ...{ keys: config.keys, people, places, signal },
        told: (done) => told(done / people.length),
      });
      return { at: 'sealed', sending, parts: await inParts(lines), domain: commonDomain(people) };
    });

  const deliver = (sending: Sending, parts: Parts, domain: string | undefined) =>
    run('Sending what is sealed', async (told, signal) => {
      if (domain !== undefined) await announce(sending, await signer(), parts, domain);
      try {
        await sendParts(sending, parts, signal, (done) => told(done / parts.texts.length));
        return { at: 'done', ...(await finish(sending)) };
      } catch (caught) {
        setError(
          signal.aborted ? new Error('Stopped. Nothing is stored until everything was sent.') : (caught as Error),
        );
        return { at: 'stopped', sending, parts };
      }
    });

  const away = (sending: Sending) => {
    void cancel(sending);
    setError(undefined);
    setStep({ at: 'choose' });
  };

  const frame = (children: ReactNode) => (
    <Card title="Import people">
      {children}
      <Trouble error={error} />
      {progress === undefined ? null : <Bar progress={progress} onCancel={() => stop.current.abort()} />}
    </Card>
  );

  switch (step.at) {
    case 'choose':
    case 'refused':
      return frame(
        <>
          <p>
            The file is read, judged and sealed in this browser. The server gets ciphertext, units and member states;
            names, numbers and addresses never leave this page in the clear.
          </p>
          {step.at === 'refused' ? <Lines lines={step.lines} /> : null}
          <div className="field">
            <label htmlFor="people-file">
              CSV file{' '}
              <span className="hint">
                UTF-8, with given_name, family_name, email, mobile, unit, member_state; external_id may follow
              </span>
            </label>
            <input id="people-file" type="file" accept=".csv,text/csv" disabled={busy} onChange={choose} />
          </div>
        </>,
      );
    case 'judged': {
      const { people } = step;
      const keyed = people[0]!.externalId !== '';
      return frame(
        <>
          <dl className="facts">
            <dt>People</dt>
            <dd>{number(people.length)}, every line is right</dd>
            <dt>Units</dt>
            <dd>{number(new Set(people.map(({ unit }) => unit)).size)}, in the clear</dd>
            <dt>Known before</dt>
            <dd>
              {keyed
                ? 'found by external_id: they get new values, a changed number after its waiting time'
                : 'nobody: without external_id everybody in the file is new'}
            </dd>
            <dt>Touches</dt>
            <dd>two: one to begin, one over the count and the hash of what is sent</dd>
          </dl>
          {keyed ? (
            <div className="field">
              <label htmlFor="people-source">
                Whose keys are these?{' '}
                <span className="hint">the source of the tokens that push the same people, such as entra</span>
              </label>
              <input
                id="people-source"
                value={source}
                maxLength={31}
                onChange={(event) => setSource(event.target.value.toLowerCase().replace(/[^a-z0-9-]/g, ''))}
              />
            </div>
          ) : null}
          <Keys config={config} onFit={setFits} />
          <Signer who={who} onForget={() => setWho(undefined)} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={busy || !fits || source === ''}
              onClick={() => seal(people)}
            >
              Touch and seal
            </button>
            <button type="button" disabled={busy} onClick={() => setStep({ at: 'choose' })}>
              Another file
            </button>
          </div>
        </>,
      );
    }
    case 'sealed':
      return frame(
        <>
          <p className="note good">
            {number(step.sending.count)} people are sealed. Nothing has left this browser yet.
          </p>
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={busy}
              onClick={() => deliver(step.sending, step.parts, step.domain)}
            >
              Touch and send
            </button>
            <button type="button" disabled={busy} onClick={() => away(step.sending)}>
              Throw away
            </button>
          </div>
        </>,
      );
    case 'stopped':
      return frame(
        <div className="row">
          <button
            type="button"
            className="primary"
            disabled={busy}
            onClick={() => deliver(step.sending, step.parts, undefined)}
          >
            Go on where it stopped
          </button>
          <button type="button" disabled={busy} onClick={() => away(step.sending)}>
            Throw away
          </button>
        </div>,
      );
    case 'done':
      return frame(
        <>
          <p className="note good">
            {number(step.people)} people are in the directory
            {step.known === 0 ? '' : `, ${number(step.known)} of them were known`}. Their values move under their own
            locks within the next minutes.
          </p>
          <p>
            <a className="button primary" href={`${config.console}/people`}>
              Back to the console
            </a>
          </p>
        </>,
      );
  }
}
