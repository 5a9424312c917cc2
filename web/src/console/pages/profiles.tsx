import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { go } from '../router.ts';
import { useMayChange } from '../session.tsx';
import { Changes, Dangers, RolloutChip } from './rings.tsx';
import { type DryRun, rolloutsApi } from './rollouts-api.ts';

async function readFile(file: File): Promise<{ text: string; signed: boolean }> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0x30) return { text: new TextDecoder().decode(bytes), signed: false };
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return { text: btoa(binary), signed: true };
}

function Reach({ run }: { run: DryRun }) {
  if (run.profile === null)
    return <p>It is new: storing it sends nothing. Assign it to a group and start a rollout afterwards.</p>;
  return (
    <p>
      A rollout would reach <strong>{run.devices}</strong> {run.devices === 1 ? 'device' : 'devices'}
      {run.groups.length === 0 ? '' : ` in ${run.groups.map(({ name, members }) => `${name} (${members})`).join(', ')}`}
      : first {run.rings.join(', then ')}.
      {run.superseded === 0 ? '' : ` ${run.superseded} undelivered commands about it would give way.`}
    </p>
  );
}

function Add({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [signed, setSigned] = useState(false);
  const [run, setRun] = useState<DryRun>();
  const body = () => ({ profile: text, ...(signed ? { signed } : {}) });
  const look = useAct(async () => setRun(await rolloutsApi.dryRun(body())));
  const store = useAct(async () => {
    const { profile } = await rolloutsApi.store(body());
    go(`/profiles/${profile}`);
  });
  return (
    <Dialog title="Add a profile or a new version" onClose={onClose}>
      {run === undefined ? (
        <>
          <div className="field">
            <label htmlFor="profile-text">Profile</label>
            <input
              type="file"
              aria-label="Profile file"
              accept=".mobileconfig,.plist"
              onChange={(event) => {
                const file = event.target.files?.[0];
                if (file !== undefined)
                  void readFile(file).then((read) => {
                    setText(read.text);
                    setSigned(read.signed);
                  });
              }}
            />
            <textarea
              id="profile-text"
              className="mono"
              rows={8}
              spellCheck={false}
              placeholder="or paste its XML here"
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                setSigned(false);
              }}
            />
          </div>
          <Refused problem={look.problem} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={look.busy || text === ''}
              onClick={() => void look.run()}
            >
              See what it does
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </>
      ) : (
        <>
          <p>
            <strong>{run.name}</strong> <span className="mono small">{run.identifier}</span>{' '}
            {run.replaces === null ? 'is new here' : `would follow version ${run.replaces}`}
            {run.signed ? '; its signature is right and is taken off' : ''}.
          </p>
          <Dangers dangers={run.dangers} remarks={run.remarks} />
          <Reach run={run} />
          {run.unchanged ? <p className="note">These are exactly the bytes of the newest version.</p> : null}
          <details open={run.replaces !== null}>
            <summary>{run.replaces === null ? 'What it sets' : `What differs from version ${run.replaces}`}</summary>
            <Changes changes={run.changes} />
          </details>
          <Refused problem={store.problem} />
          <div className="row">
            <button type="button" className="primary" disabled={store.busy} onClick={() => void store.run()}>
              Store it
            </button>
            <button type="button" onClick={() => setRun(undefined)}>
              Back
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

export function Profiles() {
  const answer = useAnswer('profiles', rolloutsApi.profiles);
  const [adding, setAdding] = useState(false);
  const mayChange = useMayChange();
  return (
    <Frame
      title="Profiles"
      aside={
        mayChange ? (
          <button type="button" className="primary" onClick={() => setAdding(true)}>
            Add a profile
          </button>
        ) : undefined
      }
    >
      <p className="quiet">
        Storing a profile sends nothing. It reaches devices once it is assigned and rolled out, ring by ring; devices
        that join a group later get what was rolled out last.
      </p>
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No profiles yet">Add one, and see in words what it does before anything is stored.</Empty>
          ) : (
            <div className="scroll">
              <table className="list">
                <thead>
                  <tr>
                    <th scope="col">Profile</th>
                    <th scope="col">Wanted on</th>
                    <th scope="col" className="number">
                      Sent to
                    </th>
                    <th scope="col">Last rollout</th>
                    <th scope="col">Newest version</th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((profile) => (
                    <tr key={profile.id}>
                      <th scope="row">
                        <a href={`/profiles/${profile.id}`}>{profile.name}</a>
                        <div className="mono small quiet">{profile.identifier}</div>
                      </th>
                      <td>
                        {profile.groups.length === 0 ? (
                          <span className="quiet">nowhere</span>
                        ) : (
                          profile.groups.join(', ')
                        )}
                      </td>
                      <td className="number">{profile.devices}</td>
                      <td>
                        {profile.rollout === null ? (
                          <span className="quiet">none</span>
                        ) : (
                          <RolloutChip state={profile.rollout.state} />
                        )}
                      </td>
                      <td>
                        {profile.versions}, <When at={profile.storedAt} /> by{' '}
                        <span className="mono">{profile.storedBy}</span>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Loaded>
      {adding ? <Add onClose={() => setAdding(false)} /> : null}
    </Frame>
  );
}
