import { type FormEvent, useId, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { Chip, Dialog, Empty, Loaded, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';

interface Channel {
  readonly name: string;
  readonly kind: string;
  readonly least: string;
  readonly afterMinutes: number | null;
  readonly sentAt: string | null;
  readonly failingSince: string | null;
  readonly code: string | null;
  readonly waiting: number;
}

interface Silence {
  readonly id: string;
  readonly rule: string;
  readonly until: string;
  readonly why: string;
  readonly by: string;
  readonly held: number;
}

interface Told {
  readonly channels: readonly Channel[];
  readonly silences: readonly Silence[];
}

const told = (signal: AbortSignal) => call<Told>('/alert-channels', { signal });
const test = () => send<{ channels: number }>('POST', '/alert-channels/test', {});
const endSilence = (id: string) => send('POST', `/silences/${id}/end`, {});
const silence = (body: { rule: string; minutes: number; why: string }) => send('POST', '/silences', body);

const words = ({ least, afterMinutes }: Channel) =>
  `${least === 'critical' ? 'critical alone' : `${least} and above`}${afterMinutes === null ? '' : `, if nobody took it up for ${afterMinutes} min`}`;

function ChannelRow({ channel }: { channel: Channel }) {
  const { name, kind, sentAt, failingSince, code, waiting } = channel;
  return (
    <tr>
      <th scope="row" className="mono">
        {name}
      </th>
      <td>{kind}</td>
      <td>{words(channel)}</td>
      <td>
        {failingSince === null ? (
          <Chip tone={sentAt === null ? 'quiet' : 'good'}>{sentAt === null ? 'nothing sent yet' : 'works'}</Chip>
        ) : (
          <>
            <Chip tone="bad">fails</Chip>{' '}
            <span className="small quiet">
              since <When at={failingSince} />, {code}
            </span>
          </>
        )}
      </td>
      <td className="number">{waiting}</td>
      <td>{sentAt === null ? '–' : <When at={sentAt} />}</td>
    </tr>
  );
}

function Silences({ silences, onDone }: { silences: readonly Silence[]; onDone: () => void }) {
  const mayChange = useMayChange();
  const end = useAct(async (id: string) => {
    await endSilence(id);
    onDone();
  });
  if (silences.length === 0) return null;
  return (
    <>
      <h3>Silenced rules</h3>
      <Refused problem={end.problem} />
      <ul>
        {silences.map(({ id, rule, until, why, by, held }) => (
          <li key={id} className="command">
            <div className="row">
              <strong className="mono">{rule}</strong>
              <span>
                ends <When at={until} />
              </span>
              <span>
                {held} {held === 1 ? 'alert' : 'alerts'} held back
              </span>
              {mayChange ? (
                <button type="button" disabled={end.busy} onClick={() => end.run(id)}>
                  End it now
                </button>
              ) : null}
            </div>
            <span className="small quiet">
              by <span className="mono">{by}</span>: “{why}”
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Where alerts go, whether it works, and what is held back. */
export function AlertChannels() {
  const answer = useAnswer('alert-channels', told);
  const mayChange = useMayChange();
  const [tested, setTested] = useState(false);
  const testing = useAct(async () => {
    await test();
    setTested(true);
    answer.reload();
  });
  return (
    <section className="stack" aria-labelledby="where-alerts-go">
      <div className="row">
        <h2 id="where-alerts-go">Where alerts go</h2>
        {mayChange && (answer.data?.channels.length ?? 0) > 0 ? (
          <button type="button" disabled={testing.busy} onClick={() => testing.run()}>
            Send a test to each
          </button>
        ) : null}
        <span role="status">{tested ? 'Sent. Look whether it came.' : ''}</span>
      </div>
      <Refused problem={testing.problem} />
      <Loaded answer={answer}>
        {({ channels, silences }) => (
          <>
            {channels.length === 0 ? (
              <Empty title="Nobody is told">
                Alerts stand here alone. On the server: <code>bartizan alerts set channels.json</code>
              </Empty>
            ) : (
              <div className="scroll">
                <table className="list">
                  <thead>
                    <tr>
                      <th scope="col">Channel</th>
                      <th scope="col">Kind</th>
                      <th scope="col">Told of</th>
                      <th scope="col">State</th>
                      <th scope="col" className="number">
                        Waiting
                      </th>
                      <th scope="col">Last taken</th>
                    </tr>
                  </thead>
                  <tbody>
                    {channels.map((channel) => (
                      <ChannelRow key={channel.name} channel={channel} />
                    ))}
                  </tbody>
                </table>
              </div>
            )}
            <Silences silences={silences} onDone={answer.reload} />
          </>
        )}
      </Loaded>
    </section>
  );
}

const SPANS: readonly [number, string][] = [
  [30, '30 minutes'],
  [240, '4 hours'],
  [1440, 'a day'],
  [10_080, '7 days'],
];

/** Holds back what one rule raises, for a while. */
export function SilenceRule({ rule }: { rule: string }) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState(false);
  const [minutes, setMinutes] = useState(30);
  const [why, setWhy, clear] = useDraft(`silence:${rule}`);
  const act = useAct(async () => {
    await silence({ rule, minutes, why: why.trim() });
    clear();
    setOpen(false);
    setDone(true);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void act.run();
  };
  return (
    <>
      {done ? (
        <p className="note" role="status">
          Alerts of this rule are sent to nobody for a while. They are raised and answered as ever.
        </p>
      ) : (
        <button type="button" onClick={() => setOpen(true)}>
          Silence this rule
        </button>
      )}
      {open ? (
        <Dialog title="Silence this rule" onClose={() => setOpen(false)}>
          <form className="stack" onSubmit={submit}>
            <p>
              What <span className="mono">{rule}</span> raises is not sent to anybody; it is raised, shown and answered
              as ever, and critical alerts are sent all the same. It stands in the log.
            </p>
            <div className="field">
              <label htmlFor={`${id}-span`}>For</label>
              <select id={`${id}-span`} value={minutes} onChange={(event) => setMinutes(Number(event.target.value))}>
                {SPANS.map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </select>
            </div>
            <div className="field">
              <label htmlFor={`${id}-why`}>
                Why? <span className="hint">5 to 200 characters</span>
              </label>
              <textarea
                id={`${id}-why`}
                required
                minLength={5}
                maxLength={200}
                value={why}
                onChange={(event) => setWhy(event.target.value)}
              />
            </div>
            <Refused problem={act.problem} />
            <div className="row">
              <button type="submit" className="primary" disabled={act.busy}>
                Silence it
              </button>
              <button type="button" onClick={() => setOpen(false)}>
                Cancel
              </button>
            </div>
          </form>
        </Dialog>
      ) : null}
    </>
  );
}
