import { useCallback, useEffect, useState } from 'react';
import { DEFAULT_CAPS, type Field, type Grant, type Receipt } from '../../../src/seal/messages.ts';
import { span, useNow, utc } from '../shared/time.tsx';
import { newBrowserKey, openAnswer, receiptHolds } from './open.ts';
import { AskColleague, askWithOthers } from './others.tsx';
import { Card } from './parts.tsx';
import { type Known, touch } from './passkey.ts';
import { type Published, published } from './server.ts';
import { openerFor } from './third/opener.ts';
import { newGrant, TouchForm } from './touch-form.tsx';

const WORD: Record<Field, [string, string]> = {
  name: ['name', 'names'],
  number: ['mobile number', 'mobile numbers'],
  email: ['e-mail address', 'e-mail addresses'],
  'device-name': ['device name', 'device names'],
  location: ['place', 'places'],
  'unlock-token': ['unlock token', 'unlock tokens'],
  'bootstrap-token': ['bootstrap token', 'bootstrap tokens'],
};
const SHOWN_MS = 60_000;

/** Values on screen for one minute, in memory only; gone when the tab is hidden. */
function Shown(props: { grant: Grant; receipt: Receipt; values: ReadonlyMap<string, string>; onHide: () => void }) {
  const { grant, receipt, values, onHide } = props;
  const [until] = useState(() => Date.now() + SHOWN_MS);
  const now = useNow();
  const left = Math.min(SHOWN_MS / 1000, Math.max(0, Math.ceil((until - now) / 1000)));
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
  const [one, many] = WORD[grant.field];
  return (
    <Card title={`${values.size} ${values.size === 1 ? one : many}`}>
      <div className="row apart">
        <span className="countdown">
          Hidden again in <strong>{left} s</strong>
        </span>
        <button type="button" onClick={onHide}>
          Hide now
        </button>
      </div>
      <progress max={60} value={left} aria-label="Time until the values are hidden" />
      <div className="scroll">
        <table className="values">
          <thead>
            <tr>
              <th scope="col">Handle</th>
              <th scope="col">{one.replace(/^./, (letter) => letter.toUpperCase())}</th>
            </tr>
          </thead>
          <tbody>
            {grant.subjects.map((subject) => (
              <tr key={subject}>
                <th scope="row" className="mono">
                  {subject}
                </th>
                <td>{values.get(subject) ?? <span className="quiet">nothing is stored for this person</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="note good">
        Entry {receipt.leaf} was written to the log at {utc(receipt.time)}, before anything was opened. The ledger’s
        signature was checked in this page.
      </p>
    </Card>
  );
}

/** Who, what and why; then the touch; then the values, opened with a key that only this page holds. */
export function Reveal({ field, subjects, config }: { field: Field; subjects: readonly string[]; config: Published }) {
  const [purpose, setPurpose] = useState('');
  const [hidden, setHidden] = useState(false);
  const [waits, setWaits] = useState<Grant>();
  const [shown, setShown] = useState<{ grant: Grant; receipt: Receipt; values: ReadonlyMap<string, string> }>();
  const hide = useCallback(() => {
    setShown(undefined);
    setHidden(true);
  }, []);
  if (shown !== undefined) return <Shown {...shown} onHide={hide} />;

  const [one, many] = WORD[field];
  const count = subjects.length;
  const most = (config.caps ?? DEFAULT_CAPS).perTouch;

  async function reveal(reader: Known, why: string, say: (busy: string) => void) {
    const { pair, publicKey } = await newBrowserKey();
    const grant = newGrant({ admin: reader.admin, field, subjects, purpose: why, browserKey: publicKey });
    // Asked anew: it may have come into force since this page was opened.
    const third = (await published()).keys.third !== undefined;
    const { assertion, prf } = await touch(grant, reader.credential, { prf: third });
    // Before anything is charged: who cannot open them asks for nothing.
    const openThird = third ? await openerFor(config, field, reader.credential, prf) : undefined;
    say('The guards write their entry and open the values');
    const answer = await askWithOthers(grant, assertion, () => {
      setWaits(grant);
      say('Waiting for another administrator to sign');
    }).finally(() => setWaits(undefined));
    if (!(await receiptHolds(config.keys.ledger, answer.receipt, grant))) {
      throw new Error(
        'The answer came without a valid receipt of the ledger, so nothing is shown. Tell your security team: this should never happen.',
      );
    }
    const values = await openAnswer(pair, answer, openThird);
    setHidden(false);
    setShown({ grant, receipt: answer.receipt, values });
  }

  return (
    <Card title={`Reveal ${count === 1 ? `one ${one}` : `${count} ${many}`}`}>
      {hidden ? (
        <p className="note info">
          The values are hidden again. To see them once more takes another touch and counts again.
        </p>
      ) : null}
      <dl className="facts">
        <dt>Of</dt>
        <dd>
          <ul className="handles mono">
            {subjects.map((subject) => (
              <li key={subject}>{subject}</li>
            ))}
          </ul>
        </dd>
        <dt>Counts</dt>
        <dd>
          {count} of at most {most} in one touch, and towards your limit for today
        </dd>
        <dt>Kept in the log</dt>
        <dd>your handle, these handles and your reason, for good</dd>
      </dl>
      {count > most ? (
        <p className="note warn">
          These are more than {most} people. The guards will refuse; go back and select fewer.
        </p>
      ) : null}
      {waits === undefined ? null : <AskColleague grant={waits} />}
      <TouchForm
        question={count === 1 ? 'Why do you need it?' : 'Why do you need them?'}
        reader="the person concerned"
        button="Touch and reveal"
        purpose={purpose}
        onPurpose={setPurpose}
        work={reveal}
      >
        <p className="quiet small">
          Values stay on screen for {span(SHOWN_MS)}, are kept nowhere, and vanish when you leave this tab.
        </p>
      </TouchForm>
    </Card>
  );
}
