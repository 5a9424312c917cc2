import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, DeviceLink, Empty, Frame, Loaded, or, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
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
      <div className="row fields">
        <div className="field">
          <label htmlFor="plan-name">Name</label>
          <input
            id="plan-name"
            required
            maxLength={48}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor="plan-group">Devices</label>
          <select id="plan-group" value={group} onChange={(event) => setGroup(event.target.value)}>
            <option value="">Every device</option>
            {groups.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor="plan-version">Version</label>
          <select id="plan-version" value={version} onChange={(event) => setVersion(event.target.value)}>
            <option value="">Newest for each model</option>
            {[...new Set(releases.map((one) => one.version))].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor="plan-deadline">
            Deadline <span className="hint">by each device’s clock</span>
          </label>
          <input
            id="plan-deadline"
            type="datetime-local"
            required
            value={deadline}
            onChange={(event) => setDeadline(event.target.value)}
          />
        </div>
      </div>
      <div className="row">
        <button type="button" disabled={look.busy} onClick={() => void look.run()}>
          Dry run
        </button>
        <button type="submit" className="primary" disabled={save.busy}>
          Plan it
        </button>
      </div>
      <div role="status">
        {models === undefined ? null : models.length === 0 ? (
          'No enrolled device is meant.'
        ) : (
          <ul className="bullets">
            {models.map((one) => (
              <li key={one.model}>
                <span className="mono">{one.model}</span>:{' '}
                {one.version === null
                  ? `${one.devices === 1 ? '1 device' : `${one.devices} devices`}, nothing for this model`
                  : `${one.behind} of ${one.devices === 1 ? '1 device' : `${one.devices} devices`} would update to ${one.version}`}
              </li>
            ))}
          </ul>
        )}
      </div>
      <Refused problem={save.problem ?? look.problem} />
    </form>
  );
}

/** Takes Apple's list of versions as a file, where the server cannot ask for it itself. */
function Feed({ onDone }: { onDone: () => void }) {
  const [wrong, setWrong] = useState<string>();
  const [taken, setTaken] = useState<number>();
  const take = useAct(async (file: File) => {
    setTaken(undefined);
    let feed: unknown;
    try {
      feed = JSON.parse(await file.text());
    } catch {
      feed = undefined;
    }
    if (typeof feed !== 'object' || feed === null) return setWrong('The file is not JSON.');
    setWrong(undefined);
    setTaken((await declaredApi.feed(feed)).releases);
    onDone();
  });
  return (
    <div className="stack tight">
      <p>
        <label className="button">
          Hand in a list of versions
          <input
            type="file"
            accept=".json,application/json"
            disabled={take.busy}
            onChange={(event) => {
              const file = event.target.files?.[0];
              event.target.value = '';
              if (file !== undefined) void take.run(file);
            }}
          />
        </label>{' '}
        <span className="quiet small">Apple’s own, in the form of gdmf.apple.com/v2/pmv</span>
      </p>
      <p role="status" className="small">
        {taken === undefined ? null : taken === 1 ? '1 version was read.' : `${taken} versions were read.`}
      </p>
      <p role="alert" className="field-error">
        {wrong}
      </p>
      <Refused problem={take.problem} />
    </div>
  );
}

export function SoftwareUpdates() {
  const answer = useAnswer('updates', declaredApi.updates);
  const mayChange = useMayChange();
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
                  {releases.length === 1 ? '1 system version is' : `${releases.length} system versions are`} known, read{' '}
                  <When at={feed.takenAt} />.
                </>
              )}
            </p>
            {mayChange ? <Feed onDone={answer.reload} /> : null}
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
