import { type FormEvent, useId, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import type { DeviceState } from '../model.ts';
import { Chip, DeviceLink, Dialog, Empty, Loaded, or, PersonLink, Refused, StateChip } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { NameHolders } from './enrolment-holders.tsx';

interface Policy {
  readonly autoAssign: boolean;
  readonly unverified: 'refuse' | 'accept';
  readonly deviceCas: string;
  readonly minimumOs: string;
  readonly supervised: boolean;
  readonly mandatory: boolean;
  readonly removable: boolean;
  readonly awaitConfigured: boolean;
  readonly skip: readonly string[];
  readonly anchors: string;
}

interface Ade {
  readonly certificate: string | null;
  readonly serverName: string | null;
  readonly orgName: string | null;
  readonly tokenNotAfter: string | null;
  readonly syncedAt: string | null;
  readonly problem: string | null;
  readonly problemAt: string | null;
  readonly profileUuid: string | null;
  readonly policy: Policy;
  readonly total: number;
  readonly assigned: number;
  readonly held: number;
  readonly expected: number;
  readonly devices: readonly {
    readonly serial: string;
    readonly device: string;
    readonly state: DeviceState;
    readonly holder: string | null;
    readonly model: string | null;
    readonly profileStatus: string;
    readonly wanted: string | null;
    readonly removedAt: string | null;
  }[];
}

const SWITCHES = [
  ['autoAssign', 'Give new devices our profile by themselves'],
  ['supervised', 'Supervised'],
  ['mandatory', 'Cannot be skipped in Setup Assistant'],
  ['removable', 'Holders may remove management'],
  ['awaitConfigured', 'Wait in Setup Assistant until configured (at most 3 minutes)'],
] as const;

const base64 = (bytes: Uint8Array) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

function PolicyForm({ policy, onClose }: { policy: Policy; onClose: () => void }) {
  const id = useId();
  const [now, setNow] = useState(policy);
  const [skip, setSkip] = useState(policy.skip.join(' '));
  const save = useAct(async () => {
    await send('POST', '/ade/policy', { ...now, skip: skip.split(/[\s,]+/).filter((pane) => pane !== '') });
    onClose();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void save.run();
  };
  return (
    <Dialog title="How assigned devices are set up" onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        {SWITCHES.map(([key, label]) => (
          <label key={key} className="row">
            <input
              type="checkbox"
              checked={now[key]}
              onChange={(event) => setNow({ ...now, [key]: event.target.checked })}
            />
            {label}
          </label>
        ))}
        <div className="field">
          <label htmlFor={`${id}m`}>
            Least system version <span className="hint">empty: any; older devices update first</span>
          </label>
          <input
            id={`${id}m`}
            value={now.minimumOs}
            onChange={(event) => setNow({ ...now, minimumOs: event.target.value })}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}s`}>
            Panes to leave out <span className="hint">Apple’s names, such as Siri Diagnostics</span>
          </label>
          <input id={`${id}s`} value={skip} onChange={(event) => setSkip(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor={`${id}c`}>
            Apple’s device authorities <span className="hint">PEM; who signs for a device’s serial number</span>
          </label>
          <textarea
            id={`${id}c`}
            className="mono"
            rows={3}
            spellCheck={false}
            value={now.deviceCas}
            onChange={(event) => setNow({ ...now, deviceCas: event.target.value })}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}u`}>A device that they do not vouch for</label>
          <select
            id={`${id}u`}
            value={now.unverified}
            onChange={(event) => setNow({ ...now, unverified: event.target.value as Policy['unverified'] })}
          >
            <option value="refuse">is refused</option>
            <option value="accept">is let in, with a finding</option>
          </select>
        </div>
        <Refused problem={save.problem} />
        <div className="row">
          <button type="submit" className="primary" disabled={save.busy}>
            Save
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Devices({ ade, act }: { ade: Ade; act: (what: 'assign' | 'remove', device: string) => void }) {
  if (ade.devices.length === 0) return <Empty title="Apple has assigned no device to this server" />;
  return (
    <div className="scroll">
      <table className="list">
        <thead>
          <tr>
            <th scope="col">Serial</th>
            <th scope="col">Device</th>
            <th scope="col">State</th>
            <th scope="col">Holder</th>
            <th scope="col">Model</th>
            <th scope="col">Profile at Apple</th>
            <th scope="col">
              <span className="hidden-visually">Acts</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {ade.devices.map((one) => {
            const has = one.profileStatus === 'assigned' || one.profileStatus === 'pushed';
            return (
              <tr key={one.serial}>
                <th scope="row" className="mono">
                  {one.serial}
                </th>
                <td>
                  <DeviceLink handle={one.device} />
                </td>
                <td>
                  <StateChip state={one.state} />
                </td>
                <td>
                  <PersonLink handle={one.holder} />
                </td>
                <td>{or(one.model)}</td>
                <td>
                  {one.removedAt !== null ? (
                    <Chip tone="warn">no longer ours at Apple</Chip>
                  ) : one.wanted !== null ? (
                    <Chip tone="info">{one.wanted === 'assign' ? 'being assigned' : 'being removed'}</Chip>
                  ) : (
                    <Chip tone={has ? 'good' : 'quiet'}>{one.profileStatus}</Chip>
                  )}
                </td>
                <td className="number">
                  {one.removedAt === null && one.wanted === null ? (
                    <button
                      type="button"
                      aria-label={`${has ? 'Remove profile from' : 'Assign profile to'} ${one.device}`}
                      onClick={() => act(has ? 'remove' : 'assign', one.device)}
                    >
                      {has ? 'Remove profile' : 'Assign profile'}
                    </button>
                  ) : null}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Apple's device assignment: the token with its end, the last sync, what is wrong, the devices. */
export function DeviceAssignment() {
  const mayChange = useMayChange();
  const answer = useAnswer('ade', (signal) => call<Ade>('/ade', { signal: signal ?? null }));
  const [editing, setEditing] = useState(false);
  const [naming, setNaming] = useState(false);
  const act = useAct(async (path: string, body: object) => {
    await send('POST', path, body);
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Automated device enrolment</h2>
      <Refused problem={act.problem} />
      <Loaded answer={answer}>
        {(ade) => (
          <>
            <dl className="facts">
              <dt>Server token</dt>
              <dd>
                {ade.tokenNotAfter === null ? (
                  <span className="quiet">none yet</span>
                ) : (
                  <>
                    {or(ade.orgName)}, ends <When at={ade.tokenNotAfter} />
                  </>
                )}
              </dd>
              <dt>Last sync</dt>
              <dd>
                <When at={ade.syncedAt} none="never" />
              </dd>
              <dt>Devices</dt>
              <dd>
                {ade.total}, {ade.assigned} with our profile, {ade.held} with a holder
                {ade.expected === 0 ? null : (
                  <span className="quiet"> ({ade.expected} more holders wait for their serial numbers)</span>
                )}
              </dd>
              {ade.problem === null ? null : (
                <>
                  <dt>Trouble</dt>
                  <dd>
                    <Chip tone="bad">{ade.problem.replaceAll('_', ' ')}</Chip> since <When at={ade.problemAt} />
                  </dd>
                </>
              )}
            </dl>
            <div className="row" hidden={!mayChange}>
              {ade.certificate === null ? (
                <button
                  type="button"
                  className="primary"
                  disabled={act.busy}
                  onClick={() => void act.run('/ade/key', {})}
                >
                  Make the server key
                </button>
              ) : (
                <label className="button">
                  Upload a server token
                  <input
                    type="file"
                    className="hidden-visually"
                    accept=".p7m,application/pkcs7-mime"
                    onChange={async (event) => {
                      const file = event.target.files?.[0];
                      if (file !== undefined)
                        await act.run('/ade/token', { file: base64(new Uint8Array(await file.arrayBuffer())) });
                    }}
                  />
                </label>
              )}
              <button type="button" onClick={() => setEditing(true)}>
                How devices are set up
              </button>
              <button type="button" onClick={() => setNaming(true)}>
                Name holders
              </button>
              <button
                type="button"
                disabled={act.busy || ade.tokenNotAfter === null}
                onClick={() => void act.run('/ade/sync', {})}
              >
                Sync now
              </button>
            </div>
            {ade.certificate === null ? null : (
              <details>
                <summary>Certificate for Apple Business Manager</summary>
                <pre className="pre">{ade.certificate}</pre>
              </details>
            )}
            {ade.tokenNotAfter === null ? null : (
              <Devices
                ade={ade}
                act={(what, device) => void act.run('/ade/devices', { act: what, devices: [device] })}
              />
            )}
            {naming ? (
              <NameHolders
                onClose={() => {
                  setNaming(false);
                  answer.reload();
                }}
              />
            ) : null}
            {editing ? (
              <PolicyForm
                policy={ade.policy}
                onClose={() => {
                  setEditing(false);
                  answer.reload();
                }}
              />
            ) : null}
          </>
        )}
      </Loaded>
    </section>
  );
}
