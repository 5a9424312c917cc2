import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, DeviceLink, Empty, Frame, Loaded, or, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { declaredApi, type Target, type Updates } from './declared-api.ts';
import { fleetApi } from './fleet-api.ts';

function Plan({ releases, onDone }: { releases: Updates['releases']; onDone: () => void }) {
  const groups = useAnswer('groups', fleetApi.groups).data?.items ?? [];
  const [name, setName] = useState('');
  const [group, setGroup] = useState('');
  const [version, setVersion] = useState('');
  const [deadline, setDeadline] = useState('');
  const [models, setModels] = useState<readonly Target[]>();
  const asked = { group: group || null, version: version || null };
  const look = useAct(async () => setModels((await declaredApi.previewUpdate(asked)).models));
  const save = useAct(async () => {
    await declaredApi.plan({ ...asked, name, deadline: `${deadline}:00`.slice(0, 19), detailsUrl: null });
    setName('');
    setModels(undefined);
    onDone();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void save.run();
  };
  return (
    <form className="section stack" onSubmit={submit}>
      <h2>Plan an update</h2>
      <div className="toolbar">
        <input
          aria-label="Name"
          placeholder="Name"
          required
          maxLength={48}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <select aria-label="Devices" value={group} onChange={(event) => setGroup(event.target.value)}>
          <option value="">Every device</option>
          {groups.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
        <select aria-label="Version" value={version} onChange={(event) => setVersion(event.target.value)}>
          <option value="">Newest for each model</option>
          {[...new Set(releases.map((one) => one.version))].map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <input
          type="datetime-local"
          aria-label="Deadline on the device’s own clock"
          required
          value={deadline}
          onChange={(event) => setDeadline(event.target.value)}
        />
        <button type="button" disabled={look.busy} onClick={() => void look.run()}>
          Dry run
        </button>
        <button type="submit" className="primary" disabled={save.busy}>
          Plan it
        </button>
      </div>
      {models === undefined ? null : (
        <ul className="bullets" role="status">
          {models.map((one) => (
            <li key={one.model}>
              <span className="mono">{one.model}</span>:{' '}
              {one.version === null
                ? `${one.devices} devices, nothing for this model`
                : `${one.behind} of ${one.devices} devices would update to ${one.version}`}
            </li>
          ))}
        </ul>
      )}
      <Refused problem={save.problem ?? look.problem} />
    </form>
  );
}

export function SoftwareUpdates() {
  const answer = useAnswer('updates', declaredApi.updates);
  const mayChange = useSession().role === 'administrator';
  const end = useAct(async (id: string) => {
    await declaredApi.end(id);
    answer.reload();
  });
  return (
    <Frame title="Software updates">
      <Loaded answer={answer}>
        {({ plans, devices, releases, feed }) => (
          <>
            <p className="quiet">
              {feed === null ? (
                'No list of system versions was read yet: nothing can be planned before that.'
              ) : (
                <>
                  {releases.length} system versions are known, read <When at={feed.takenAt} />.
                </>
              )}
            </p>
            {mayChange && feed !== null ? <Plan releases={releases} onDone={answer.reload} /> : null}
            <section className="section">
              <h2>Plans</h2>
              {plans.length === 0 ? <Empty title="No update is planned" /> : null}
              <ul>
                {plans.map((one) => (
                  <li key={one.id} className="row">
                    <strong>{one.name}</strong>
                    <span>
                      {one.groupName ?? 'every device'}, {one.versions.join(', ')}, by {one.deadline.replace('T', ' ')}
                    </span>
                    <Chip tone={one.overdue > 0 ? 'bad' : 'info'}>{one.wanted} behind</Chip>
                    {one.failed > 0 ? <Chip tone="bad">{one.failed} failed</Chip> : null}
                    {one.fault !== null && one.endedAt === null ? (
                      <Chip tone="bad">
                        stuck: {one.fault === 'name-taken' ? 'a set has the name that it needs' : one.fault}
                      </Chip>
                    ) : null}
                    {one.endedAt !== null ? <Chip tone="quiet">ended</Chip> : null}
                    {mayChange && one.endedAt === null ? (
                      <button type="button" className="plain" disabled={end.busy} onClick={() => void end.run(one.id)}>
                        End
                      </button>
                    ) : null}
                  </li>
                ))}
              </ul>
              <Refused problem={end.problem} />
            </section>
            {devices.length === 0 ? null : (
              <section className="section">
                <h2>Devices that are behind</h2>
                <ul>
                  {devices.map((one) => (
                    <li key={`${one.device} ${one.plan}`} className="row">
                      <DeviceLink handle={one.device} />
                      <span className="mono small">{or(one.model)}</span>
                      <span>
                        {or(one.osVersion)} → {one.wanted}, by {one.deadline.replace('T', ' ')}
                      </span>
                      <Chip tone={one.state === 'failed' ? 'bad' : 'info'}>{one.state ?? 'not reported'}</Chip>
                      {one.overdue ? <Chip tone="bad">overdue</Chip> : null}
                    </li>
                  ))}
                </ul>
              </section>
            )}
          </>
        )}
      </Loaded>
    </Frame>
  );
}
