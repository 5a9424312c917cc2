import { useState } from 'react';
import { span, useNow, When } from '../../shared/time.tsx';
import { ACTS, ActDialog, type ActName } from '../act.tsx';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import type { Command, DeviceDetail, Intent } from '../model.ts';
import { CommandChip, Empty, Events, Frame, Loaded, or, StateChip, Unknown } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { Claims, EnrolAnew } from './claims.tsx';
import { DeviceActions } from './commands.tsx';
import { DeviceCertificates } from './device-certificates.tsx';
import { DeviceDeclared } from './device-declared.tsx';
import { Holder } from './device-holder.tsx';
import { DeviceIdentity } from './device-identity.tsx';
import { Owner } from './device-owner.tsx';
import { FOR_LOST, Recovered } from './device-recovered.tsx';
import { DeviceHistory, DeviceStanding, DeviceWays } from './fleet-device.tsx';
import { RetireDialog } from './fleet-retire.tsx';
import { TwoHolders } from './two-holders.tsx';

/** `BatteryLevel` → `Battery level`; `OSVersion` → `OS version`. */
const words = (key: string): string => {
  const parts = key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .split(' ');
  return parts.map((part, i) => (i === 0 || part === part.toUpperCase() ? part : part.toLowerCase())).join(' ');
};

function fact(value: unknown) {
  if (value === null || value === undefined || value === '') return <Unknown />;
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (typeof value === 'object') return <code className="small">{JSON.stringify(value)}</code>;
  return String(value);
}

function Facts({ data, onDone }: { data: DeviceDetail; onDone: () => void }) {
  const { device, inventory } = data;
  return (
    <>
      <section className="section">
        <h2>Facts</h2>
        <dl className="facts">
          <dt>State</dt>
          <dd>
            <StateChip state={device.state} />
          </dd>
          <dt>Holder</dt>
          <dd>
            <Holder
              device={device.handle}
              holder={device.holder}
              fixed={device.state === 'retired' || (device.ownership === 'personal' && device.holder !== null)}
              onDone={onDone}
            />
          </dd>
          <dt>Owner</dt>
          <dd>
            <Owner device={device.handle} ownership={device.ownership} onDone={onDone} />
          </dd>
          <dt>Model</dt>
          <dd>{or(device.productName ?? device.model)}</dd>
          <dt>System</dt>
          <dd>{or(device.osVersion)}</dd>
          <dt>Serial</dt>
          <dd className="mono">{or(device.serial)}</dd>
          <dt>Supervised</dt>
          <dd>{fact(device.supervised)}</dd>
          <dt>Enrolled</dt>
          <dd>
            <When at={device.enrolledAt} none="not yet" />{' '}
            {device.state === 'retired' ? null : (
              <EnrolAnew device={device.handle} holder={device.holder} ownership={device.ownership} />
            )}
          </dd>
          <dt>Last seen</dt>
          <dd>
            <When at={device.lastSeenAt} />
          </dd>
          <dt>Certificate ends</dt>
          <dd>
            <When at={device.certificateNotAfter} none="no certificate yet" />
          </dd>
        </dl>
      </section>
      {inventory.map((part) => (
        <section className="section" key={part.kind}>
          <details>
            <summary>
              {words(part.kind)}{' '}
              <span className="hint">
                as the device said <When at={part.takenAt} />
              </span>
            </summary>
            <dl className="facts">
              {Object.entries(part.facts).map(([key, value]) => (
                <div key={key} className="fact-pair">
                  <dt>{words(key)}</dt>
                  <dd>{fact(value)}</dd>
                </div>
              ))}
            </dl>
          </details>
        </section>
      ))}
    </>
  );
}

/** One command on its way: wanted → queued → delivered → result, each with its time; what waits says why and since when. */
function Way({ command, intent }: { command: Command; intent: Intent | undefined }) {
  const now = useNow();
  const finished = command.doneAt !== null;
  return (
    <li className="command">
      <div className="row">
        <strong>{words(command.verb)}</strong> <CommandChip state={command.state} />
        {command.channel === null ? null : <span className="small">for the user of channel {command.channel}</span>}
        {intent === undefined ? null : (
          <span className="quiet">
            by <span className="mono">{intent.requester}</span>, “{intent.purpose}”
          </span>
        )}
      </div>
      <ol className="way small">
        {intent === undefined ? null : (
          <li>
            wanted <When at={intent.createdAt} />
          </li>
        )}
        <li>
          queued <When at={command.queuedAt} />
        </li>
        <li>
          {command.deliveredAt === null ? (
            <span className="quiet">not delivered yet</span>
          ) : (
            <>
              delivered <When at={command.deliveredAt} />
            </>
          )}
        </li>
        <li>
          {finished ? (
            <>
              {command.state.replaceAll('_', ' ')} <When at={command.doneAt} />
            </>
          ) : (
            <span className="quiet">no result yet</span>
          )}
        </li>
      </ol>
      {finished || command.waitsFor === null ? null : (
        <p className="small">
          Waits for {span(now - Date.parse(command.queuedAt))}: {command.waitsFor}.
        </p>
      )}
      {command.errors === null || command.errors === undefined ? null : (
        <pre className="pre">{JSON.stringify(command.errors)}</pre>
      )}
    </li>
  );
}

/** Intents that have no command of their own yet. */
function Wanted({ intent }: { intent: Intent }) {
  return (
    <li className="command">
      <div className="row">
        <strong>{words(intent.verb)}</strong> <CommandChip state={intent.state} />
        <span className="quiet">
          by <span className="mono">{intent.requester}</span>, “{intent.purpose}”
        </span>
      </div>
      <p className="small">
        Wanted <When at={intent.createdAt} />.{' '}
        {intent.state === 'awaiting-approval' ? (
          <>
            It waits for two people: <a href="/approvals">review and sign</a>.
          </>
        ) : (
          intent.reason
        )}
      </p>
    </li>
  );
}

export function DevicePage({ handle }: { handle: string }) {
  const answer = useAnswer(`device:${handle}`, (signal) => api.device(handle, signal));
  const [act, setAct] = useState<ActName>();
  const [retiring, setRetiring] = useState(false);
  const mayChange = useMayChange();
  const enrolled = answer.data?.device.state === 'enrolled';
  const left = answer.data === undefined || answer.data.device.state === 'retired';
  return (
    <Frame
      title={handle}
      mono
      aside={
        mayChange
          ? [
              ...(Object.keys(ACTS) as ActName[]).map((name) => (
                <button
                  key={name}
                  type="button"
                  disabled={!enrolled || (name === 'erase' && answer.data?.device.ownership === 'personal')}
                  className={name === 'erase' ? 'danger' : undefined}
                  onClick={() => setAct(name)}
                >
                  {ACTS[name].label}
                </button>
              )),
              <button key="retire" type="button" className="danger" disabled={left} onClick={() => setRetiring(true)}>
                Retire
              </button>,
            ]
          : undefined
      }
    >
      <Loaded answer={answer}>
        {(data) => {
          const intents = new Map((data.intents ?? []).map((intent) => [intent.id, intent]));
          const served = new Set(data.commands.map((command) => command.intent));
          const wanted = [...intents.values()].filter(
            (intent) => !served.has(intent.id) && intent.state !== 'dispatched',
          );
          const pending = data.commands.filter((command) => command.doneAt === null);
          const finished = data.commands.filter((command) => command.doneAt !== null);
          return (
            <>
              <Claims device={handle} />
              {data.device.twoHoldersAt === null ? null : (
                <TwoHolders device={handle} at={data.device.twoHoldersAt} onDone={answer.reload} />
              )}
              <div className="halves">
                <div>
                  <DeviceStanding handle={handle} />
                  {mayChange ? (
                    <DeviceActions device={data.device} channels={data.channels} onDone={answer.reload} />
                  ) : null}
                  <Facts data={data} onDone={answer.reload} />
                  <DeviceDeclared handle={handle} />
                  <DeviceCertificates handle={handle} />
                  <DeviceIdentity handle={handle} offered={data.device.state === 'offered'} />
                  <DeviceHistory handle={handle} />
                </div>
                <div className="stack">
                  <section className="section">
                    <h2>Pending</h2>
                    <Recovered
                      device={handle}
                      offered={[...wanted, ...pending].some(({ verb }) => FOR_LOST.includes(verb))}
                      onDone={answer.reload}
                    />
                    {pending.length + wanted.length === 0 ? (
                      <Empty title="Nothing waits for this device" />
                    ) : (
                      <ul>
                        {wanted.map((intent) => (
                          <Wanted key={intent.id} intent={intent} />
                        ))}
                        {pending.map((command) => (
                          <Way key={command.uuid} command={command} intent={intents.get(command.intent ?? '')} />
                        ))}
                      </ul>
                    )}
                  </section>
                  {finished.length === 0 ? null : (
                    <section className="section">
                      <h2>Done</h2>
                      <ul>
                        {finished.slice(0, 20).map((command) => (
                          <Way key={command.uuid} command={command} intent={intents.get(command.intent ?? '')} />
                        ))}
                      </ul>
                    </section>
                  )}
                  <DeviceWays handle={handle} />
                  <section className="section">
                    <h2>Timeline</h2>
                    <Events events={data.events} />
                  </section>
                </div>
              </div>
            </>
          );
        }}
      </Loaded>
      {retiring ? (
        <RetireDialog
          devices={[handle]}
          personal={answer.data?.device.ownership === 'personal'}
          onClose={() => setRetiring(false)}
          onDone={answer.reload}
        />
      ) : null}
      {act === undefined ? null : (
        <ActDialog name={act} devices={[handle]} onClose={() => setAct(undefined)} onDone={answer.reload} />
      )}
    </Frame>
  );
}
