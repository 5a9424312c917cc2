import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { Changes, Dangers, RolloutCard } from './rings.tsx';
import { type ProfileDetail, rolloutsApi, type Version } from './rollouts-api.ts';

function Assign({ detail, onDone }: { detail: ProfileDetail; onDone: () => void }) {
  const groups = useAnswer('groups', rolloutsApi.groups);
  const mayChange = useMayChange();
  const [group, setGroup] = useState('');
  const assign = useAct(async () => {
    await rolloutsApi.assign(detail.profile.id, { group });
    setGroup('');
    onDone();
  });
  const remove = useAct(async (id: string) => {
    await rolloutsApi.unassign(id);
    onDone();
  });
  const taken = new Set(detail.assignments.map((one) => one.group));
  const free = groups.data?.items.filter(({ id }) => !taken.has(id)) ?? [];
  return (
    <section className="section stack">
      <h2>Wanted on</h2>
      {detail.assignments.length === 0 ? (
        <p className="quiet">Nowhere yet. Choose a group of devices.</p>
      ) : (
        <ul>
          {detail.assignments.map((one) => (
            <li key={one.id} className="command">
              <div className="row apart">
                <span>
                  <strong>{one.name}</strong> {one.members} {one.members === 1 ? 'device' : 'devices'}{' '}
                  <span className="quiet small">
                    <When at={one.at} /> by <span className="mono">{one.by}</span>
                  </span>
                </span>
                {mayChange ? (
                  <button type="button" disabled={remove.busy} onClick={() => void remove.run(one.id)}>
                    Take away
                  </button>
                ) : null}
              </div>
            </li>
          ))}
        </ul>
      )}
      <div className="toolbar" hidden={!mayChange}>
        <select aria-label="Group" value={group} onChange={(event) => setGroup(event.target.value)}>
          <option value="">Choose a group</option>
          {free.map(({ id, name, members }) => (
            <option key={id} value={id}>
              {name} ({members})
            </option>
          ))}
        </select>
        <button type="button" disabled={group === '' || assign.busy} onClick={() => void assign.run()}>
          Assign
        </button>
      </div>
      <Refused problem={assign.problem ?? remove.problem} />
    </section>
  );
}

function Start({ detail, version, onClose }: { detail: ProfileDetail; version: Version; onClose: () => void }) {
  const [purpose, setPurpose, clear] = useDraft('purpose:rollout');
  const start = useAct(async () => {
    await rolloutsApi.start(detail.profile.id, { version: version.id, purpose: purpose.trim() });
    clear();
    onClose();
  });
  const devices = detail.assignments.reduce((sum, one) => sum + one.members, 0);
  return (
    <Dialog title={`Roll out version ${version.number}`} onClose={onClose}>
      <p>
        At first 1 % of the devices, at least 5; after 24 hours without trouble 10 %; after 24 more all of them, at most{' '}
        {devices}. More than 10 % errors stop it. Maintenance windows hold.
      </p>
      {detail.dangers.length === 0 ? null : (
        <p className="note warn">Each ring waits until two people have signed exactly what its devices will get.</p>
      )}
      <div className="field">
        <label htmlFor="rollout-purpose">
          Why? <span className="hint">It goes into the log; no names, no numbers</span>
        </label>
        <textarea
          id="rollout-purpose"
          maxLength={200}
          value={purpose}
          onChange={(event) => setPurpose(event.target.value)}
        />
      </div>
      <Refused problem={start.problem} />
      <div className="row">
        <button
          type="button"
          className="primary"
          disabled={start.busy || purpose.trim().length < 5}
          onClick={() => void start.run()}
        >
          Start with the first ring
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

function Versions({ detail, onStart }: { detail: ProfileDetail; onStart: (version: Version) => void }) {
  const [shown, setShown] = useState<Version>();
  const mayChange = useMayChange();
  const before = shown === undefined ? undefined : detail.versions.find(({ number }) => number === shown.number - 1);
  const diff = useAnswer(`diff:${shown?.id}`, async (signal) =>
    shown === undefined ? null : rolloutsApi.diff(detail.profile.id, before?.id ?? null, shown.id, signal),
  );
  return (
    <section className="section stack">
      <h2>Versions</h2>
      <ul>
        {detail.versions.map((version) => (
          <li key={version.id} className="command">
            <div className="row apart">
              <span>
                <strong>{version.number}</strong> on {version.devices} {version.devices === 1 ? 'device' : 'devices'}{' '}
                <span className="quiet small">
                  <When at={version.storedAt} /> by <span className="mono">{version.storedBy}</span>
                  {version.signed ? ', came signed' : ''}, <span className="mono">{version.sha256.slice(0, 12)}</span>
                </span>
              </span>
              <span className="row">
                <button
                  type="button"
                  aria-pressed={shown?.id === version.id}
                  onClick={() => setShown(shown?.id === version.id ? undefined : version)}
                >
                  {version.number === 1 ? 'What it sets' : `Changes to ${version.number - 1}`}
                </button>
                {mayChange ? (
                  <button type="button" disabled={detail.assignments.length === 0} onClick={() => onStart(version)}>
                    Roll out
                  </button>
                ) : null}
              </span>
            </div>
            {shown?.id !== version.id ? null : (
              <Loaded answer={diff}>{(found) => (found === null ? null : <Changes changes={found.changes} />)}</Loaded>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

export function ProfilePage({ id }: { id: string }) {
  const answer = useAnswer(`profile:${id}`, (signal) => rolloutsApi.profile(id, signal));
  const [starting, setStarting] = useState<Version>();
  return (
    <Frame title={answer.data?.profile.name ?? 'Profile'}>
      <Loaded answer={answer}>
        {(detail) => (
          <>
            <p className="mono quiet">{detail.profile.identifier}</p>
            <Dangers dangers={detail.dangers} remarks={detail.remarks} />
            <section className="section stack">
              <h2>Rollouts</h2>
              {detail.rollouts.length === 0 ? (
                <Empty title="Never rolled out">Assign it to a group, then roll out a version.</Empty>
              ) : (
                detail.rollouts
                  .slice(0, 3)
                  .map((rollout) => <RolloutCard key={rollout.id} rollout={rollout} onChange={answer.reload} />)
              )}
            </section>
            <Assign detail={detail} onDone={answer.reload} />
            <Versions detail={detail} onStart={setStarting} />
            <details>
              <summary>The newest version as text, without its secrets</summary>
              <pre className="pre">{detail.xml}</pre>
            </details>
            {starting === undefined ? null : (
              <Start
                detail={detail}
                version={starting}
                onClose={() => {
                  setStarting(undefined);
                  answer.reload();
                }}
              />
            )}
          </>
        )}
      </Loaded>
    </Frame>
  );
}
