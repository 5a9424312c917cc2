import { When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import { type DeviceState, type Overview, STATES } from '../model.ts';
import { Chip, Empty, Frame, LevelChip, Loaded, or, stateWord } from '../parts.tsx';

const MEANS: Readonly<Record<string, string>> = {
  L0: 'One user: both guards share a uid with everything else. Good for trying out; an intruder with this uid has it all.',
  L1: 'Own users on one host: a break-in at the edge meets the walls; whoever becomes root on this host has it all.',
  L2: 'Own users here, and the ledger on another host: whoever becomes root on one of the two has one guard, not both.',
};

function Posture({ posture }: { posture: Overview['posture'] }) {
  const { level, findings, key } = posture;
  return (
    <section className={level === 'L0' ? 'note warn' : 'note'} aria-label="Assurance level">
      <p className="level">
        <strong>Assurance level {level}</strong> <span>{MEANS[level] ?? ''}</span>
      </p>
      {key === null ? null : (
        <p>
          <a href="/keys">
            Organisation key {key.number}, grade {key.grade}
          </a>
        </p>
      )}
      {findings.length === 0 ? null : (
        <details>
          <summary>
            {findings.length} {findings.length === 1 ? 'finding' : 'findings'}
          </summary>
          <ul className="stack">
            {findings.map((finding) => (
              <li key={finding.title}>
                <strong>{finding.title}</strong> <span>{finding.fix}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function Figures({ data }: { data: Overview }) {
  const devices = Object.values(data.devices).reduce((sum, n) => sum + n, 0);
  return (
    <div className="figures">
      <a className="figure" href="/devices?state=enrolled">
        <strong>{data.devices.enrolled ?? 0}</strong>
        <span>enrolled, of {devices} devices</span>
      </a>
      <a className="figure" href="/people">
        <strong>{data.people}</strong>
        <span>people, sealed</span>
      </a>
      <a className="figure" href="/alerts?status=open">
        <strong>{data.alerts.open}</strong>
        <span>open alerts</span>
        {data.alerts.critical > 0 ? <Chip tone="bad">{data.alerts.critical} critical</Chip> : null}
      </a>
      <a className="figure" href="/approvals">
        <strong>{data.approvals.open}</strong>
        <span>wait for signatures</span>
      </a>
      <a className="figure" href="/incidents">
        <strong>{data.incidents.open}</strong>
        <span>open incidents</span>
      </a>
    </div>
  );
}

function States({ devices }: { devices: Overview['devices'] }) {
  const known = STATES.filter((state) => (devices[state] ?? 0) > 0);
  if (known.length === 0) {
    return (
      <Empty title="No devices yet">
        Make enrolment links with <code>bartizan enrol</code>, and open one on a phone.
      </Empty>
    );
  }
  return (
    <table className="list">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col" className="number">
            Devices
          </th>
        </tr>
      </thead>
      <tbody>
        {known.map((state: DeviceState) => (
          <tr key={state}>
            <th scope="row">{stateWord(state)}</th>
            <td className="number">
              <a href={`/devices?state=${state}`}>{devices[state]}</a>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Log({ log }: { log: Overview['log'] }) {
  return (
    <dl className="facts">
      <dt>Entries</dt>
      <dd>{or(log.size)}</dd>
      <dt>Last checkpoint</dt>
      <dd>
        <When at={log.checkpointAt} none="unknown: the ledger does not answer" />
      </dd>
      <dt>Root</dt>
      <dd className="mono small">{or(log.root)}</dd>
      <dt>Not yet in the log</dt>
      <dd>{log.waiting} events</dd>
      <dt>Check it yourself</dt>
      <dd>
        <code>bartizan log verify DIR</code>
      </dd>
    </dl>
  );
}

function Newest() {
  const answer = useAnswer('alerts:newest', (signal) => api.alerts({ status: 'open', limit: 5 }, signal));
  return (
    <Loaded answer={answer}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="No open alerts">
            Rules read the log as it is written. <code>bartizan drill january</code> shows what they catch.
          </Empty>
        ) : (
          <table className="list">
            <thead>
              <tr>
                <th scope="col">Alert</th>
                <th scope="col">Level</th>
                <th scope="col">Since</th>
              </tr>
            </thead>
            <tbody>
              {items.map((alert) => (
                <tr key={alert.id}>
                  <th scope="row">
                    <a href={`/alerts/${alert.id}`}>{alert.title}</a>
                  </th>
                  <td>
                    <LevelChip level={alert.level} />
                  </td>
                  <td>
                    <When at={alert.createdAt} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )
      }
    </Loaded>
  );
}

export function OverviewPage() {
  const answer = useAnswer('overview', api.overview);
  return (
    <Frame title="Overview">
      <Loaded answer={answer}>
        {(data) => (
          <>
            {data.locks.length === 0 ? null : (
              <section className="note bad" aria-label="Locks in force">
                <strong>
                  {data.locks.length} {data.locks.length === 1 ? 'lock is' : 'locks are'} in force:
                </strong>{' '}
                {data.locks.map((lock) => (lock.scope === 'admin' ? `admin ${lock.target}` : lock.scope)).join(', ')}.{' '}
                <a href="/locks">Why, and how to lift them</a>
              </section>
            )}
            <Figures data={data} />
            <Posture posture={data.posture} />
            <div className="halves">
              <section className="section">
                <h2>Newest alerts</h2>
                <Newest />
              </section>
              <section className="section">
                <h2>Devices by state</h2>
                <States devices={data.devices} />
              </section>
              <section className="section">
                <h2>Transparency log</h2>
                <Log log={data.log} />
              </section>
            </div>
          </>
        )}
      </Loaded>
    </Frame>
  );
}
