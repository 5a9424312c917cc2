import { useId, useState } from 'react';
import { duration, When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import type { Action, AlertDetail } from '../model.ts';
import { Chip, Details, DeviceLink, Empty, Events, Frame, LevelChip, Loaded, Refused } from '../parts.tsx';
import { go } from '../router.ts';
import { SilenceRule } from './alert-channels.tsx';
import { AlertStatus } from './alerts.tsx';

function Actions({ actions, since }: { actions: readonly Action[]; since: string }) {
  if (actions.length === 0)
    return <Empty title="No containing action was taken">This rule only tells; it does not act.</Empty>;
  return (
    <ul>
      {actions.map((action) => (
        <li key={action.id} className="command">
          <div className="row">
            <Chip tone={action.state === 'done' ? 'good' : action.state === 'failed' ? 'bad' : 'warn'}>
              {action.state}
            </Chip>
            <strong>{action.verb.replaceAll('_', ' ')}</strong> <span className="mono">{action.target}</span>
          </div>
          <span className="small quiet">
            {action.doneAt === null ? (
              <>
                begun <When at={action.startedAt} />
              </>
            ) : (
              `${duration(Date.parse(action.doneAt) - Date.parse(since))} after the event`
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Links the alert to an open incident, or opens one that starts with it. */
function Link({ data, onDone }: { data: AlertDetail; onDone: () => void }) {
  const { alert } = data;
  const field = useId();
  const incidents = useAnswer('incidents', api.incidents);
  const [chosen, setChosen] = useState('');
  const link = useAct(async () => {
    let incident = chosen;
    if (incident === '') {
      const opened = await api.openIncident({
        title: alert.title,
        windowFrom: new Date(Date.parse(alert.eventTime) - 24 * 3_600_000).toISOString(),
        principal: alert.actor,
      });
      incident = opened.id;
    }
    await api.linkAlert(alert.id, incident);
    onDone();
    go(`/incidents/${incident}`);
  });
  if (alert.incidentId !== null) {
    return (
      <p>
        Part of <a href={`/incidents/${alert.incidentId}`}>this incident</a>.
      </p>
    );
  }
  const open = incidents.data?.items.filter((incident) => incident.status !== 'closed') ?? [];
  return (
    <div className="stack">
      <div className="field">
        <label htmlFor={field}>Incident</label>
        <select id={field} value={chosen} onChange={(event) => setChosen(event.target.value)}>
          <option value="">Open a new one</option>
          {open.map((incident) => (
            <option key={incident.id} value={incident.id}>
              {incident.title}
            </option>
          ))}
        </select>
      </div>
      <Refused problem={link.problem} />
      <div>
        <button type="button" disabled={link.busy} onClick={() => link.run()}>
          {chosen === '' ? 'Open an incident' : 'Link to this incident'}
        </button>
      </div>
    </div>
  );
}

export function AlertPage({ id }: { id: string }) {
  const answer = useAnswer(`alert:${id}`, (signal) => api.alert(id, signal));
  const acknowledge = useAct(async () => {
    await api.acknowledge(id);
    answer.reload();
  });
  const alert = answer.data?.alert;
  return (
    <Frame
      title={alert?.title ?? 'Alert'}
      aside={
        alert?.status === 'open' ? (
          <button type="button" className="primary" disabled={acknowledge.busy} onClick={() => acknowledge.run()}>
            Acknowledge
          </button>
        ) : undefined
      }
    >
      <Refused problem={acknowledge.problem} />
      <Loaded answer={answer}>
        {(data) => (
          <>
            <dl className="facts">
              <dt>Level</dt>
              <dd>
                <LevelChip level={data.alert.level} />
              </dd>
              <dt>Status</dt>
              <dd>
                <AlertStatus status={data.alert.status} />{' '}
                {data.alert.acknowledgedBy === null ? null : (
                  <span>
                    by <span className="mono">{data.alert.acknowledgedBy}</span> <When at={data.alert.acknowledgedAt} />
                  </span>
                )}
              </dd>
              <dt>Rule</dt>
              <dd className="mono">{data.alert.rule}</dd>
              <dt>Event</dt>
              <dd>
                <When at={data.alert.eventTime} />, raised{' '}
                {duration(Date.parse(data.alert.createdAt) - Date.parse(data.alert.eventTime))} later
              </dd>
              <dt>About</dt>
              <dd>
                {data.alert.actor === null && data.alert.device === null ? (
                  <span className="quiet">nobody in particular</span>
                ) : null}
                <span className="mono">{data.alert.actor}</span>{' '}
                {data.alert.device === null ? null : <DeviceLink handle={data.alert.device} />}
              </dd>
              <dt>Why</dt>
              <dd>
                <Details detail={data.detail} />
              </dd>
            </dl>
            <div className="halves">
              <section className="section">
                <h2>What was done at once</h2>
                <Actions actions={data.actions} since={data.alert.eventTime} />
              </section>
              <section className="section">
                <h2>Incident</h2>
                <Link data={data} onDone={answer.reload} />
                <SilenceRule rule={data.alert.rule} />
              </section>
            </div>
            <section className="section">
              <h2>Events</h2>
              <Events events={data.events} device />
            </section>
          </>
        )}
      </Loaded>
    </Frame>
  );
}
