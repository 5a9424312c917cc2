import { When } from '../../shared/time.tsx';
import { useAnswer } from '../data.ts';
import { Chip, CommandChip, Empty, Loaded, type Tone } from '../parts.tsx';
import { type Change, fleetApi, type WayOf } from './fleet-api.ts';
import { Findings } from './fleet-compliance.tsx';

const DESIRED: Readonly<Record<string, Tone>> = {
  installed: 'good',
  pushed: 'info',
  wanted: 'info',
  drifted: 'bad',
  unexpected: 'warn',
  unknown: 'quiet',
};

/** A device's groups, what rules say of it, and what it should have against what it has. */
export function DeviceStanding({ handle }: { handle: string }) {
  const answer = useAnswer(`standing:${handle}`, (signal) => fleetApi.standing(handle, signal));
  return (
    <Loaded answer={answer}>
      {({ groups, compliance, desired }) => (
        <>
          <section className="section">
            <h2>Compliance</h2>
            {compliance.length === 0 ? (
              <p className="quiet">
                No rule speaks of this device. <a href="/compliance">Rules</a>
              </p>
            ) : (
              <Findings items={compliance} by="rule" />
            )}
          </section>
          <section className="section">
            <h2>Groups</h2>
            {groups.length === 0 ? (
              <p className="quiet">
                In none. <a href="/groups">Groups</a>
              </p>
            ) : (
              <p className="row">
                {groups.map((group) => (
                  <a key={group.id} href={`/devices?group=${group.id}`}>
                    {group.name}
                  </a>
                ))}
              </p>
            )}
          </section>
          <section className="section">
            <h2>Wanted and reported</h2>
            {desired.length === 0 ? (
              <p className="quiet">Nothing was installed, and the device reports nothing of its own.</p>
            ) : (
              <ul>
                {desired.map((one) => (
                  <li key={`${one.kind}${one.key}`} className="command">
                    <div className="row">
                      <Chip tone={DESIRED[one.state] ?? 'quiet'}>{one.state}</Chip>
                      <span className="mono wrap-anywhere">{one.key}</span>
                      <span className="quiet small">{one.kind}</span>
                    </div>
                    <p className="small">
                      {one.why}
                      {one.since === null ? null : (
                        <span className="quiet">
                          , <When at={one.since} />
                        </span>
                      )}
                    </p>
                  </li>
                ))}
              </ul>
            )}
          </section>
        </>
      )}
    </Loaded>
  );
}

const short = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value !== 'object') return value === true ? 'yes' : value === false ? 'no' : String(value);
  const { PayloadUUID, PayloadVersion, Version, ShortVersion } = value as Record<string, unknown>;
  return String(ShortVersion ?? Version ?? PayloadUUID ?? PayloadVersion ?? JSON.stringify(value));
};

function changed({ key, before, after }: Change): string {
  const [list, ...rest] = key.split(':');
  if (rest.length === 0) return `${key} ${short(before)} → ${short(after)}`;
  const item = rest.join(':');
  if (before === null) return `${list}: ${item} appeared`;
  return after === null ? `${list}: ${item} is gone` : `${list}: ${item} changed`;
}

/** What the device said otherwise than before. */
export function DeviceHistory({ handle }: { handle: string }) {
  const answer = useAnswer(`history:${handle}`, (signal) => fleetApi.history(handle, signal));
  return (
    <section className="section">
      <h2>Changes</h2>
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="quiet">The device has not said anything otherwise than before.</p>
          ) : (
            <ol className="timeline">
              {items.map((one) => (
                <li key={one.id}>
                  <When at={one.at} />
                  <span className="wrap-anywhere">{changed(one)}</span>
                  <span className="quiet small">{one.kind}</span>
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </section>
  );
}

function OneWay({ way }: { way: WayOf }) {
  return (
    <li className="command">
      <details>
        <summary>
          <strong>{way.verb}</strong> <CommandChip state={way.state} />{' '}
          <span className="hint">
            <When at={way.steps[0]?.at ?? null} />
          </span>
        </summary>
        <ol className="timeline">
          {way.steps.map((step) => (
            <li key={`${step.step}${step.at}`}>
              <When at={step.at} />
              <span>
                {step.gap === null ? null : <span className="warn-text small">{step.gap} · </span>}
                <strong>{step.step.replaceAll('-', ' ')}</strong>{' '}
                <span className="small quiet wrap-anywhere">{step.detail}</span>
              </span>
              <span />
            </li>
          ))}
        </ol>
      </details>
    </li>
  );
}

/** Each command from the wish to the result, with what it waited for. */
export function DeviceWays({ handle }: { handle: string }) {
  const answer = useAnswer(`ways:${handle}`, (signal) => fleetApi.ways(handle, signal));
  return (
    <section className="section">
      <h2>Commands step by step</h2>
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No commands yet" />
          ) : (
            <ul>
              {items.map((way) => (
                <OneWay key={way.uuid} way={way} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  );
}
