import { type FormEvent, useState } from 'react';
import type { Assertion } from '../../../src/seal/messages.ts';
import { BREAK_GLASS_BUDGET, type BreakGlass as Opening } from '../../../src/seal/roster.ts';
import { Card, Trouble } from './parts.tsx';
import { touch } from './passkey.ts';
import { openSealed } from './server.ts';

const STEPS = ['A sealed key, out of its safe', 'The first custodian’s passkey', 'The second custodian’s passkey'];

/** A sealed key and two custodians touch the same document, one after the other, at one desk. */
export function BreakGlass({ drill }: { drill: boolean }) {
  const [purpose, setPurpose] = useState('');
  const [document, setDocument] = useState<Opening>();
  const [assertions, setAssertions] = useState<readonly Assertion[]>([]);
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();
  const [done, setDone] = useState(false);

  const begin = (event: FormEvent) => {
    event.preventDefault();
    setDocument({
      ...{ v: 1, op: 'break-glass', id: crypto.randomUUID(), drill, purpose: purpose.trim() },
      notAfter: Date.now() + 9 * 60_000,
    });
  };
  async function next(asked: Opening) {
    setError(undefined);
    try {
      let all = assertions;
      if (all.length < STEPS.length) {
        setBusy('Touch the key');
        const { assertion } = await touch(asked);
        if (all.some((one) => one.credential === assertion.credential)) {
          throw new Error('That passkey signed already. The next one must be another person’s.');
        }
        all = [...all, assertion];
        setAssertions(all);
      }
      if (all.length < STEPS.length) return;
      setBusy('Asking both guards');
      await openSealed(asked, all);
      setDone(true);
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(undefined);
    }
  }

  if (done) {
    return (
      <Card title={drill ? 'The drill is done' : 'The sealed keys are open'}>
        <p className={drill ? 'note good' : 'note bad'}>
          {drill
            ? 'Both guards accepted the key and the custodians, and opened nothing. The log has the entry. Put the key back into its safe.'
            : `For one hour the key that you touched reads up to ${BREAK_GLASS_BUDGET} values and signs unlocks and commands within the limits. Everybody is told. After that the keys are dead: register and seal a new pair, and write the review.`}
        </p>
      </Card>
    );
  }
  if (document === undefined) {
    return (
      <Card title={drill ? 'Drill: open the sealed keys' : 'Open the sealed keys'}>
        <p className={drill ? 'note info' : 'note bad'}>
          {drill
            ? 'A drill proves that key and custodians are there. It opens nothing and uses nothing up.'
            : 'For emergencies only. It alarms everybody, ends after one hour, and the keys can never be used again.'}
        </p>
        <ol className="steps">
          {STEPS.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
        <form className="stack" onSubmit={begin}>
          <div className="field">
            <label htmlFor="purpose">
              Why? <span className="hint">5 to 200 characters, without names or numbers; it is kept for good</span>
            </label>
            <textarea
              id="purpose"
              required
              minLength={5}
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <div className="row">
            <button type="submit" className={drill ? 'primary' : 'danger'} disabled={purpose.trim().length < 5}>
              Begin
            </button>
          </div>
        </form>
      </Card>
    );
  }
  const step = Math.min(assertions.length, STEPS.length - 1);
  return (
    <Card title={drill ? 'Drill: open the sealed keys' : 'Open the sealed keys'}>
      <ol className="steps">
        {STEPS.map((text, i) => (
          <li key={text} aria-current={i === step ? 'step' : undefined}>
            {text} {i < assertions.length ? <span className="chip good">touched</span> : null}
          </li>
        ))}
      </ol>
      <p>“{document.purpose}”</p>
      <Trouble error={error} />
      <div className="row">
        <button type="button" className="primary" disabled={busy !== undefined} onClick={() => next(document)}>
          {assertions.length === STEPS.length ? 'Ask again' : `Touch: ${STEPS[step]}`}
        </button>
        <span role="status">{busy}</span>
      </div>
    </Card>
  );
}
