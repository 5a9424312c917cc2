import { type FormEvent, useId, useState } from 'react';
import {
  type Channel,
  FOR_MANY,
  renderMessage,
  TEMPLATES,
  type Topic,
  type Variable,
  type Variables,
} from '../../../../src/seal/notices.ts';
import { useAct } from '../data.ts';
import { GlassLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { askNotice } from './messages-api.ts';

const HANDLE = /^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/;
const HINT: Readonly<Record<Variable, readonly [label: string, hint: string]>> = {
  link: ['Enrolment link', 'as it was made under Enrolment'],
  reference: ['Case', 'such as INC-20261124'],
  date: ['Day', 'such as 2026-11-24'],
};

/** To one person: a link to glass. To more: a request that two people sign there. */
export function Compose(props: { to: string; organisation: string; onClose: () => void }) {
  const { to, organisation, onClose } = props;
  const id = useId();
  const { glass, role } = useSession();
  const [people, setPeople] = useState(to.replaceAll(',', '\n'));
  const [all, setAll] = useState(false);
  const [topic, setTopic] = useState<Topic>('lost-phone');
  const [channel, setChannel] = useState<Channel>('sms');
  const [given, setGiven] = useState<Variables>({});
  const [purpose, setPurpose] = useState('');
  const [approvals, setApprovals] = useState<readonly string[]>();
  const template = TEMPLATES[topic];
  const needed: readonly Variable[] = template.variables;
  const variables: Variables = Object.fromEntries(needed.map((name) => [name, given[name] ?? '']));
  const message = renderMessage(topic, organisation, variables);
  const handles = [...new Set(people.split(/[\s,;]+/).filter((text) => text !== ''))].sort();
  const bad = all ? undefined : handles.find((one) => !HANDLE.test(one));
  const single = !all && handles.length === 1;
  const many = all || handles.length > 1;
  const ask = useAct(async () => {
    const whom = all ? ('everyone' as const) : handles;
    setApprovals((await askNotice({ channel, topic, variables, people: whom, purpose: purpose.trim() })).approvals);
  });

  if (approvals !== undefined) {
    return (
      <section className="panel stack" aria-label="Asked for">
        <p className="note good">
          {approvals.length === 1 ? 'The notice waits' : `${approvals.length} notices wait`} for two signatures: the
          first may be yours.
        </p>
        <div className="row">
          {approvals.map((one, n) => (
            <GlassLink key={one} glass={glass} task={`approve=${one}`} primary={n === 0}>
              Sign on glass{approvals.length === 1 ? '' : ` (${n + 1})`}
            </GlassLink>
          ))}
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </section>
    );
  }
  const problem =
    bad !== undefined
      ? `“${bad}” is not a handle such as amber-otter-4821.`
      : many && !(FOR_MANY as readonly string[]).includes(topic)
        ? 'An enrolment link is for one person.'
        : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask.run();
  };
  const task = new URLSearchParams({ send: topic, channel, to: handles[0] ?? '', ...variables });
  const ready = problem === undefined && message !== undefined;
  return (
    <section className="panel stack" aria-label="New message">
      <form className="stack" onSubmit={submit} noValidate>
        <div className="field">
          <label htmlFor={`${id}p`}>
            To <span className="hint">handles, one a line; one person needs one touch, more need two people</span>
          </label>
          <textarea
            id={`${id}p`}
            className="mono"
            rows={3}
            spellCheck={false}
            disabled={all}
            value={people}
            onChange={(event) => setPeople(event.target.value)}
          />
        </div>
        <label>
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} /> Everybody in the
          directory
        </label>
        <div className="field">
          <label htmlFor={`${id}t`}>What for</label>
          <select id={`${id}t`} value={topic} onChange={(event) => setTopic(event.target.value as Topic)}>
            {(Object.keys(TEMPLATES) as Topic[]).map((one) => (
              <option key={one} value={one}>
                {TEMPLATES[one].title}
              </option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}c`}>Send as</label>
          <select id={`${id}c`} value={channel} onChange={(event) => setChannel(event.target.value as Channel)}>
            <option value="sms">SMS</option>
            <option value="email">E-mail</option>
          </select>
        </div>
        {needed.map((name) => (
          <div key={name} className="field">
            <label htmlFor={`${id}${name}`}>
              {HINT[name][0]} <span className="hint">{HINT[name][1]}</span>
            </label>
            <input
              id={`${id}${name}`}
              autoComplete="off"
              value={given[name] ?? ''}
              onChange={(event) => setGiven({ ...given, [name]: event.target.value.trim() })}
            />
          </div>
        ))}
        <div className="field">
          <span>Says</span>
          <p className="note wrap-anywhere" role="status">
            {message?.text ?? <span className="quiet">Fill in the fields above to see the text.</span>}
          </p>
        </div>
        {many ? (
          <div className="field">
            <label htmlFor={`${id}w`}>
              Why <span className="hint">5 to 200 characters, without names or numbers; both signers read it</span>
            </label>
            <textarea
              id={`${id}w`}
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
        ) : null}
        <p className="field-error" role="alert">
          {problem}
        </p>
        <Refused problem={ask.problem} />
        <div className="row">
          {single && ready ? (
            <GlassLink glass={glass} task={task.toString()} primary>
              Touch and send
            </GlassLink>
          ) : null}
          {many ? (
            <button
              type="submit"
              className="primary"
              disabled={!ready || ask.busy || role !== 'administrator' || purpose.trim().length < 5}
            >
              Ask two people to sign
            </button>
          ) : null}
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </section>
  );
}
