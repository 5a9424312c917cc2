import { When } from '../../shared/time.tsx';
import { useAct } from '../data.ts';
import { Chip, DeviceLink, Refused, type Tone } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';
import {
  type Consequence,
  type PayloadChange,
  type Rollout,
  type RolloutKind,
  type RolloutState,
  rolloutsApi,
} from './rollouts-api.ts';

const TONE: Readonly<Record<RolloutState, Tone>> = {
  running: 'info',
  paused: 'warn',
  halted: 'bad',
  done: 'good',
  cancelled: 'quiet',
};
export const RolloutChip = ({ state }: { state: RolloutState }) => <Chip tone={TONE[state]}>{state}</Chip>;

const PLACE: Readonly<Record<RolloutKind, (subject: string) => string>> = {
  profile: (subject) => `/profiles/${subject}`,
  app: () => '/apps',
  set: () => '/declarations',
};

function whatNow({ state, plan, ring, soakUntil, why, facts, skipBy }: Rollout) {
  const open = plan[ring];
  if (state === 'halted') return <>Stopped by itself: {why}. Nothing more goes out until somebody resumes it.</>;
  if (state === 'paused') return <>Paused. What was sent stays; the next ring does not open.</>;
  if (state === 'cancelled') return <>{why ?? 'Given up'}. Devices that have it keep it.</>;
  if (state === 'done') return <>All devices have it, and those that join get it.</>;
  if (soakUntil !== null) {
    return (
      <>
        Watching; the {ring + 1 < plan.length ? 'next ring opens' : 'rollout is done'} <When at={soakUntil} />
        {skipBy === null ? null : (
          <>
            . <span className="mono">{skipBy}</span> asks to cut this short; another person must agree
          </>
        )}
      </>
    );
  }
  const missing = Math.ceil((facts.devices ?? 0) / 2) - (facts.ok ?? 0) - (facts.failed ?? 0);
  return (
    <>
      The {open?.soakHours} h of watching begin when half of the ring has answered
      {missing > 0 ? `; ${missing} more ${missing === 1 ? 'device' : 'devices'} must` : ''}
    </>
  );
}

/** One rollout: which ring is open, how it goes, what can be done. */
export function RolloutCard({ rollout, onChange }: { rollout: Rollout; onChange: () => void }) {
  const { admin } = useSession();
  const mayChange = useMayChange();
  const act = useAct(async (name: 'pause' | 'resume' | 'skip' | 'cancel') => {
    await rolloutsApi.act(rollout.id, name);
    setTimeout(onChange, 1200);
  });
  const { facts, plan, ring, state } = rollout;
  const live = state === 'running' || state === 'paused' || state === 'halted';
  return (
    <article className="approval">
      <div className="stack tight">
        <div className="row">
          <h3>
            <a href={PLACE[rollout.kind](rollout.subject)}>{rollout.name}</a>{' '}
            {rollout.version === null ? 'set of declarations' : `version ${rollout.version}`}
          </h3>
          <RolloutChip state={state} />
        </div>
        <ol className="rings" aria-label="Rings">
          {plan.map((one, index) => (
            <li
              key={one.percent}
              className={index < ring || state === 'done' ? 'past' : index === ring ? 'open' : undefined}
              aria-current={live && index === ring ? 'step' : undefined}
            >
              <strong>{one.percent === 100 ? 'All' : `${one.percent} %`}</strong>
              <span className="small quiet">
                {index < ring || state === 'done'
                  ? 'reached'
                  : index === ring && live
                    ? 'open'
                    : `then ${one.soakHours} h`}
              </span>
            </li>
          ))}
        </ol>
        <p>{whatNow(rollout)}.</p>
        <p className="small quiet">
          {facts.devices ?? 0} devices in the open ring · {facts.ok ?? 0} installed ·{' '}
          <span className={(facts.failed ?? 0) > 0 ? 'bad-text' : undefined}>{facts.failed ?? 0} failed</span> · halts
          above {rollout.maxErrorPercent} % · started <When at={rollout.startedAt} /> by{' '}
          <span className="mono">{rollout.requester}</span>: {rollout.purpose}
        </p>
        {rollout.failures.length === 0 ? null : (
          <details>
            <summary>Devices on which it failed ({rollout.failures.length})</summary>
            <p className="handle-list small">
              {rollout.failures.map((device) => (
                <DeviceLink key={device} handle={device} />
              ))}
            </p>
          </details>
        )}
        {rollout.acts
          .filter(({ outcome }) => outcome?.startsWith('refused') === true)
          .slice(0, 1)
          .map(({ act: name, by, outcome }) => (
            <p key={name} className="small quiet">
              {name} by <span className="mono">{by}</span> was {outcome}
            </p>
          ))}
        <Refused problem={act.problem} />
      </div>
      {live && mayChange ? (
        <div className="row">
          {state === 'running' ? (
            <>
              <button type="button" disabled={act.busy} onClick={() => void act.run('pause')}>
                Pause
              </button>
              <button
                type="button"
                disabled={act.busy || rollout.skipBy === admin}
                onClick={() => void act.run('skip')}
                title="Takes two people"
              >
                {rollout.skipBy === null ? 'Cut the soak short' : 'Agree to cut it short'}
              </button>
            </>
          ) : (
            <button type="button" className="primary" disabled={act.busy} onClick={() => void act.run('resume')}>
              Resume
            </button>
          )}
          <button type="button" disabled={act.busy} onClick={() => void act.run('cancel')}>
            Give up
          </button>
        </div>
      ) : null}
    </article>
  );
}

/** What a profile can do to people, in words. */
export function Dangers({ dangers, remarks = [] }: { dangers: readonly Consequence[]; remarks?: readonly string[] }) {
  return (
    <>
      {dangers.length === 0 ? (
        <p className="note good">
          Nothing in it hands a device over, changes whom it trusts, or leads its traffic elsewhere.
        </p>
      ) : (
        <div className="note bad stack tight">
          <strong>Two people must agree, because it</strong>
          <ul className="bullets">
            {dangers.map((danger, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: payloads of one type may stand twice
              <li key={`${danger.type} ${index}`}>
                {danger.says} <span className="mono small">{danger.type}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      {remarks.length === 0 ? null : <p className="quiet">Also: it {remarks.join('; it ')}.</p>}
    </>
  );
}

const MARK = { added: ['good', 'added'], removed: ['bad', 'removed'], changed: ['warn', 'changed'] } as const;

/** Key by key what differs; secrets are hidden by the server. */
export function Changes({ changes }: { changes: readonly PayloadChange[] }) {
  if (changes.length === 0) return <p className="quiet">No key differs.</p>;
  return (
    <div className="stack">
      {changes.map((change, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: payloads of one type may stand twice
        <section key={`${change.type} ${index}`} className="stack tight">
          <div className="row">
            <h3>{change.name}</h3>
            <Chip tone={MARK[change.change][0]}>{MARK[change.change][1]}</Chip>
            <span className="mono small quiet">{change.type}</span>
          </div>
          {change.keys.length === 0 ? null : (
            <div className="scroll">
              <table className="list diff">
                <thead>
                  <tr>
                    <th scope="col">Key</th>
                    <th scope="col">Before</th>
                    <th scope="col">After</th>
                  </tr>
                </thead>
                <tbody>
                  {change.keys.map(({ key, before, after }) => (
                    <tr key={key}>
                      <th scope="row" className="mono">
                        {key}
                      </th>
                      <td className="wrap-anywhere">{before ?? <span className="quiet">not set</span>}</td>
                      <td className="wrap-anywhere">{after ?? <span className="quiet">not set</span>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </section>
      ))}
    </div>
  );
}
