import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, DeviceLink, Empty, Loaded, Refused } from '../parts.tsx';
import { fleetApi } from './fleet-api.ts';

export function Silence({ mayChange }: { mayChange: boolean }) {
  const answer = useAnswer('silence', fleetApi.silence);
  const groups = useAnswer('groups', fleetApi.groups).data?.items ?? [];
  const [group, setGroup] = useState('');
  const [days, setDays] = useState('');
  const set = useAct(async (of: string | null, to: number | null) => {
    await fleetApi.setSilence(of, to);
    setDays('');
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Silence</h2>
      <p className="quiet">
        A device that was not heard of for this long makes an event; after twice and three times as long another, and
        then an alert that suggests retiring it. Of several rules the strictest counts.{' '}
        <a href="/devices?silent=true">Silent devices</a>
      </p>
      <Loaded answer={answer}>
        {({ items }) => (
          <ul>
            {items.map((one) => (
              <li key={one.id} className="row">
                <span>
                  {one.group === null ? 'Every enrolled device' : one.groupName}: <strong>{one.days} days</strong>
                </span>
                {mayChange && one.group !== null ? (
                  <button type="button" className="plain" disabled={set.busy} onClick={() => set.run(one.group, null)}>
                    Remove
                  </button>
                ) : null}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      {mayChange ? (
        <form
          className="toolbar"
          onSubmit={(event) => {
            event.preventDefault();
            void set.run(group === '' ? null : group, Number(days));
          }}
        >
          <select aria-label="Devices" value={group} onChange={(event) => setGroup(event.target.value)}>
            <option value="">Every enrolled device</option>
            {groups.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
          <input
            type="number"
            aria-label="Days"
            placeholder="days"
            min={1}
            max={365}
            required
            className="short"
            value={days}
            onChange={(event) => setDays(event.target.value)}
          />
          <button type="submit" disabled={set.busy}>
            Set
          </button>
        </form>
      ) : null}
      <Refused problem={set.problem} />
    </section>
  );
}

export function Drift() {
  const answer = useAnswer('drift', fleetApi.drift);
  return (
    <section className="section">
      <h2>Drift</h2>
      <p className="quiet">What is gone or was changed on devices, and what is on them that nobody here installed.</p>
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing has drifted" />
          ) : (
            <ul>
              {items.map((one) => (
                <li key={`${one.device}${one.kind}${one.key}`} className="row">
                  <DeviceLink handle={one.device} />{' '}
                  <Chip tone={one.state === 'drifted' ? 'bad' : 'warn'}>{one.state}</Chip>
                  <span className="mono small">{one.key}</span>
                  <span className="quiet small">
                    {one.kind}, <When at={one.since} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  );
}

const HOURS = [0, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168] as const;
const often = (hours: number): string =>
  hours === 0 ? 'never' : hours < 24 ? `every ${hours} h` : hours === 24 ? 'every day' : `every ${hours / 24} days`;

const ASKED: Readonly<Record<string, string>> = {
  CertificateList: 'Certificates',
  DeviceInformation: 'What it is, its system and battery',
  InstalledApplicationList: 'Managed apps and their versions',
  ManagedApplicationList: 'State of managed apps',
  ProfileList: 'Profiles',
  SecurityInfo: 'Passcode and encryption',
};

/** How often devices are asked for their facts. */
export function InventoryPlans({ mayChange }: { mayChange: boolean }) {
  const answer = useAnswer('plans', fleetApi.plans);
  const set = useAct(async (kind: string, hours: number) => {
    await fleetApi.setPlan(kind, hours);
    answer.reload();
  });
  return (
    <section className="section">
      <h2>How often devices are asked</h2>
      <p className="quiet">
        By ordinary signed commands, each device at its own time of the day; never for what it is asked already.
      </p>
      <Loaded answer={answer}>
        {({ items }) => (
          <ul className="plans">
            {items.map((one) => (
              <li key={one.kind}>
                {mayChange ? (
                  <select
                    aria-label={`How often ${one.kind} is asked for`}
                    value={one.hours}
                    disabled={set.busy}
                    className="short"
                    onChange={(event) => set.run(one.kind, Number(event.target.value))}
                  >
                    {HOURS.map((hours) => (
                      <option key={hours} value={hours}>
                        {often(hours)}
                      </option>
                    ))}
                  </select>
                ) : (
                  <strong>{often(one.hours)}</strong>
                )}
                <span>
                  {ASKED[one.kind] ?? one.kind} <span className="quiet small wrap-anywhere">{one.kind}</span>
                </span>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <Refused problem={set.problem} />
    </section>
  );
}
