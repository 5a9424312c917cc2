import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import type { Page } from '../model.ts';
import { Chip, Dialog, Empty, Frame, Loaded, Refused, type Tone } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { HandIn, PackageList, type PackageRow } from './apps-package.tsx';
import { rolloutsApi } from './rollouts-api.ts';
import { StartRollout } from './rollouts-start.tsx';

interface AppRow {
  readonly id: string;
  readonly identifier: string;
  readonly name: string;
  readonly kind: 'store' | 'own' | 'package';
  readonly adamId: number | null;
  readonly configuration: unknown;
  readonly groups: readonly { readonly assignment: string; readonly name: string; readonly members: number }[];
  readonly devices: number;
  readonly states: Readonly<Record<string, number>>;
  readonly licences: Readonly<Record<string, number>>;
  readonly available: number | null;
  readonly versions: readonly { readonly id: string; readonly number: number }[];
  readonly packages: readonly PackageRow[];
}

interface Apps extends Page<AppRow> {
  readonly service: {
    readonly organisation: string | null;
    readonly tokenUntil: string | null;
    readonly checkedAt: string | null;
    readonly problem: string | null;
  } | null;
}

const appsApi = {
  list: (signal?: AbortSignal) => call<Apps>('/apps', { signal: signal ?? null }),
  save: (body: object) => send<{ id: string }>('POST', '/apps', body),
  assign: (app: string, group: string) =>
    send<{ id: string }>('POST', `/apps/${encodeURIComponent(app)}/assignments`, { group }),
  unassign: (id: string) => send<void>('DELETE', `/app-assignments/${encodeURIComponent(id)}`),
};

function Add({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [identifier, setIdentifier] = useState('');
  const [source, setSource] = useState('');
  const [configuration, setConfiguration] = useState('');
  const [wrong, setWrong] = useState<string>();
  const save = useAct(async (body: object) => {
    await appsApi.save(body);
    onClose();
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    let parsed: unknown;
    try {
      parsed = configuration.trim() === '' ? undefined : JSON.parse(configuration);
    } catch {
      return setWrong('The configuration is not JSON.');
    }
    const store = /^\d+$/.test(source.trim());
    const from = source.trim();
    if (from !== '' && !store && !from.startsWith('https://'))
      return setWrong('Give the store’s number of the app, or the https address of its manifest.');
    setWrong(undefined);
    void save.run({
      ...{ name: name.trim(), identifier: identifier.trim() },
      ...(store ? { adamId: Number(source) } : from === '' ? {} : { manifestUrl: from }),
      ...(parsed === undefined ? {} : { configuration: parsed }),
    });
  }
  return (
    <Dialog title="Add an app, or change one" onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <div className="field">
          <label htmlFor="app-name">Name</label>
          <input id="app-name" maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor="app-identifier">
            Bundle identifier <span className="hint">An app with the same one is changed</span>
          </label>
          <input
            id="app-identifier"
            className="mono"
            spellCheck={false}
            value={identifier}
            onChange={(event) => setIdentifier(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor="app-source">
            Number in the store, or https address of your manifest{' '}
            <span className="hint">Leave it empty for an app that is here already</span>
          </label>
          <input
            id="app-source"
            spellCheck={false}
            value={source}
            onChange={(event) => setSource(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor="app-configuration">
            Configuration <span className="hint">JSON, the same for every device; no names, addresses or numbers</span>
          </label>
          <textarea
            id="app-configuration"
            className="mono"
            spellCheck={false}
            value={configuration}
            onChange={(event) => setConfiguration(event.target.value)}
          />
        </div>
        <p className="field-error" role="alert">
          {wrong}
        </p>
        <Refused problem={save.problem} />
        <div className="row">
          <button
            type="submit"
            className="primary"
            disabled={save.busy || name.trim() === '' || identifier.trim() === ''}
          >
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

function licences({ kind, licences: by, available }: AppRow) {
  if (kind !== 'store') return <span className="quiet">needs none</span>;
  const failed = by['failed'] ?? 0;
  const under = (by['wanted'] ?? 0) + (by['asked'] ?? 0);
  return (
    <>
      {by['held'] ?? 0} held{under === 0 ? '' : `, ${under} asked for`}
      {available === null ? '' : `, ${available} left`} {failed === 0 ? null : <Chip tone="bad">{failed} refused</Chip>}
    </>
  );
}

/** Apple's states of a managed app, in words; others are shown as they are. */
const STATE: Readonly<Record<string, string>> = {
  Managed: 'installed',
  Installing: 'installing',
  Queued: 'queued',
  NeedsRedemption: 'needs a licence',
  Prompting: 'ask the holder',
  PromptingForLogin: 'ask the holder to sign in',
  UserRejected: 'refused by the holder',
  UserInstalledApp: 'installed by the holder',
  UpdateRejected: 'update refused by the holder',
  ManagementRejected: 'management refused by the holder',
  ManagedButUninstalled: 'deleted by the holder',
  Failed: 'failed',
  unknown: 'nothing yet',
};

function toneOf(state: string): Tone {
  if (state === 'Managed') return 'good';
  if (state === 'unknown') return 'quiet';
  return /Reject|Failed|Uninstalled|NeedsRedemption/.test(state) ? 'warn' : 'info';
}

function Row({ app, onChange }: { app: AppRow; onChange: () => void }) {
  const groups = useAnswer('groups', rolloutsApi.groups);
  const mayChange = useMayChange();
  const [rolling, setRolling] = useState(false);
  const act = useAct(async (work: () => Promise<unknown>) => {
    await work();
    onChange();
  });
  const free = groups.data?.items.filter(({ name }) => !app.groups.some((one) => one.name === name)) ?? [];
  return (
    <li className="approval">
      <div className="stack tight">
        <div className="row">
          <h2>{app.name}</h2>
          <Chip tone={app.kind === 'store' ? 'info' : 'quiet'}>
            {app.kind === 'store' ? `store ${app.adamId}` : app.kind === 'own' ? 'our own, elsewhere' : 'our own'}
          </Chip>
          <span className="mono small quiet">{app.identifier}</span>
        </div>
        <p>
          Sent to {app.devices} {app.devices === 1 ? 'device' : 'devices'} · licences: {licences(app)}
          {app.configuration === null ? '' : ' · with a configuration'}
        </p>
        {app.devices === 0 ? null : (
          <p className="row">
            <span className="quiet">The devices say:</span>
            {Object.entries(app.states).map(([state, n]) => (
              <Chip key={state} tone={toneOf(state)}>
                {n} {STATE[state] ?? state}
              </Chip>
            ))}
          </p>
        )}
        {app.packages.length === 0 ? null : (
          <PackageList packages={app.packages} mayChange={mayChange} onChange={onChange} />
        )}
        <div className="row">
          {app.groups.length === 0 ? <span className="quiet">Wanted nowhere yet</span> : null}
          {app.groups.map((one) => (
            <span key={one.assignment} className="row">
              <strong>{one.name}</strong> ({one.members})
              <button
                type="button"
                className="plain"
                disabled={act.busy}
                hidden={!mayChange}
                aria-label={`Take away ${app.name} from ${one.name}`}
                onClick={() => void act.run(() => appsApi.unassign(one.assignment))}
              >
                Take away
              </button>
            </span>
          ))}
        </div>
        <Refused problem={act.problem} />
      </div>
      <div className="toolbar" hidden={!mayChange}>
        <button type="button" disabled={app.versions.length === 0} onClick={() => setRolling(true)}>
          Roll out<span className="hidden-visually"> {app.name}</span>
        </button>
        <select
          aria-label={`Assign ${app.name} to a group`}
          value=""
          disabled={act.busy || free.length === 0}
          onChange={(event) => void act.run(() => appsApi.assign(app.id, event.target.value))}
        >
          <option value="">Assign to a group</option>
          {free.map(({ id, name, members }) => (
            <option key={id} value={id}>
              {name} ({members})
            </option>
          ))}
        </select>
      </div>
      {rolling ? (
        <StartRollout
          only={{ kind: 'app', id: app.id }}
          onClose={() => {
            setRolling(false);
            onChange();
          }}
        />
      ) : null}
    </li>
  );
}

export function AppsPage() {
  const mayChange = useMayChange();
  const answer = useAnswer('apps', appsApi.list);
  const [adding, setAdding] = useState(false);
  const [handing, setHanding] = useState(false);
  return (
    <Frame
      title="Apps"
      aside={
        mayChange ? (
          <div className="row">
            <button type="button" onClick={() => setAdding(true)}>
              Add an app
            </button>
            <button type="button" className="primary" onClick={() => setHanding(true)}>
              Hand in a package
            </button>
          </div>
        ) : undefined
      }
    >
      <p className="quiet">
        An app goes to the devices of its groups, licensed to the device and never to a person, and leaves with them. A
        package of ours goes out in rings alone, and so does any app that was rolled out once.
      </p>
      <Loaded answer={answer}>
        {({ items, service }) => (
          <>
            {service === null ? (
              <p className="note info">
                There is no token of Apple Business Manager, so store apps get no licences. The operator hands one over
                with <code>bartizan apps token</code> on the server.
              </p>
            ) : (
              <p className={service.problem === null ? 'quiet small' : 'note warn'}>
                Licences of {service.organisation ?? 'unknown'}; the token runs out <When at={service.tokenUntil} />
                {service.problem === null ? (
                  <>
                    ; asked <When at={service.checkedAt} />
                  </>
                ) : (
                  `. The service answered: ${service.problem}; it is asked again by itself`
                )}
                .
              </p>
            )}
            {items.length === 0 ? (
              <Empty title="No apps yet">
                Add one of the store or hand in one of yours, then assign it to a group.
              </Empty>
            ) : (
              <ul>
                {items.map((app) => (
                  <Row key={app.id} app={app} onChange={answer.reload} />
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
      {handing ? (
        <HandIn
          onClose={() => {
            setHanding(false);
            answer.reload();
          }}
        />
      ) : null}
      {adding ? (
        <Add
          onClose={() => {
            setAdding(false);
            answer.reload();
          }}
        />
      ) : null}
    </Frame>
  );
}
