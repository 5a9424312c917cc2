import { useState } from 'react';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Dialog, Loaded, Refused } from '../parts.tsx';
import { Agreed, AskDialog } from './declared-agreed.tsx';
import { type Declaration, type DeclarationSet, declaredApi, type SetPreview } from './declared-api.ts';
import { fleetApi } from './fleet-api.ts';

const toggle = (list: readonly string[], id: string) =>
  list.includes(id) ? list.filter((one) => one !== id) : [...list, id];

const devices = (count: number) => `${count} ${count === 1 ? 'device' : 'devices'}`;

/** What saving the set would do, in words; the counts are exact. */
function outcome({ now, then, joining, leaving, devices: changed, waiting }: SetPreview): string {
  const scope = `It is for ${devices(now)} now and would be for ${then}: ${joining} come in, ${leaving} go.`;
  const wait = waiting === 0 ? '' : ` ${devices(waiting)} would not get all of it before two people agree.`;
  return `${scope} ${devices(changed)} would change at once.${wait}`;
}

interface Given {
  readonly of: DeclarationSet | undefined;
  readonly sets: readonly DeclarationSet[];
  readonly declarations: readonly Declaration[];
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function SetDialog({ of, sets, declarations, onClose, onDone }: Given) {
  const groups = useAnswer('groups', fleetApi.groups).data?.items ?? [];
  const [name, setName] = useState(of?.name ?? '');
  const [everyone, setEveryone] = useState(of?.everyone ?? false);
  const [chosen, setChosen] = useState<readonly string[]>(of?.declarations.map(({ id }) => id) ?? []);
  const [devices, setDevices] = useState(of?.devices.join('\n') ?? '');
  const [predicate, setPredicate] = useState(of?.predicate ?? '');
  const [scope, setScope] = useState<readonly string[]>(of?.groups.map(({ id }) => id) ?? []);
  const [run, setRun] = useState<SetPreview>();
  const body = { id: of?.id ?? null, everyone, groups: scope, devices: devices.split(/[\s,;]+/).filter(Boolean) };
  const [rings, setRings] = useState(false);
  const [replaces, setReplaces] = useState('');
  const standard = of !== undefined && of.origin !== 'administrator';
  const look = useAct(async () => setRun(await declaredApi.preview({ ...body, declarations: chosen })));
  const save = useAct(async () => {
    await declaredApi.saveSet({
      ...{ ...body, name, predicate: predicate.trim() || null, declarations: chosen },
      ...(rings ? { rings: { replaces: replaces === '' ? null : replaces } } : {}),
    });
    onDone();
    onClose();
  });
  return (
    <Dialog title={of === undefined ? 'New set' : `Change ${of.name}`} onClose={onClose}>
      {standard ? (
        <p className="note">This set is ours: what is in it stays, and you choose who gets it.</p>
      ) : (
        <div className="field">
          <label htmlFor="set-name">Name</label>
          <input id="set-name" value={name} maxLength={80} onChange={(event) => setName(event.target.value)} />
        </div>
      )}
      <fieldset hidden={standard}>
        <legend>Declarations</legend>
        {declarations.some(({ origin }) => origin === 'administrator') ? null : (
          <p className="quiet">None is written yet.</p>
        )}
        {declarations
          .filter(({ origin }) => origin === 'administrator')
          .map(({ id, identifier }) => (
            <label key={id} className="row">
              <input type="checkbox" checked={chosen.includes(id)} onChange={() => setChosen(toggle(chosen, id))} />
              <span className="mono">{identifier}</span>
            </label>
          ))}
      </fieldset>
      <fieldset>
        <legend>Devices</legend>
        <label className="row">
          <input type="checkbox" checked={everyone} onChange={() => setEveryone(!everyone)} /> Every device
        </label>
        {groups.map(({ id, name: label }) => (
          <label key={id} className="row">
            <input type="checkbox" checked={scope.includes(id)} onChange={() => setScope(toggle(scope, id))} /> {label}
          </label>
        ))}
      </fieldset>
      <div className="field">
        <label htmlFor="set-devices">
          And these devices <span className="hint">Handles, one a line</span>
        </label>
        <textarea
          id="set-devices"
          className="mono"
          rows={3}
          spellCheck={false}
          value={devices}
          onChange={(event) => setDevices(event.target.value)}
        />
      </div>
      <div className="field" hidden={standard}>
        <label htmlFor="set-predicate">
          Only while <span className="hint">A predicate that each device judges by itself; empty: always</span>
        </label>
        <textarea
          id="set-predicate"
          className="mono"
          rows={2}
          maxLength={2000}
          spellCheck={false}
          placeholder="@status(device.model.family) == 'iPhone'"
          value={predicate}
          onChange={(event) => setPredicate(event.target.value)}
        />
      </div>
      {of === undefined ? (
        <fieldset>
          <legend>How it goes out</legend>
          <label className="row">
            <input type="checkbox" checked={rings} onChange={() => setRings(!rings)} /> In rings: nobody gets it before
            a rollout lets them
          </label>
          {rings ? (
            <div className="field">
              <label htmlFor="set-replaces">
                In place of <span className="hint">That set is removed once the rollout is done</span>
              </label>
              <select id="set-replaces" value={replaces} onChange={(event) => setReplaces(event.target.value)}>
                <option value="">nothing</option>
                {sets
                  .filter((one) => one.origin === 'administrator' && one.rings === null)
                  .map((one) => (
                    <option key={one.id} value={one.id}>
                      {one.name}
                    </option>
                  ))}
              </select>
            </div>
          ) : null}
        </fieldset>
      ) : null}
      <p role="status">{run === undefined || rings ? null : outcome(run)}</p>
      <Refused problem={save.problem ?? look.problem} />
      <div className="row">
        <button type="button" disabled={look.busy} onClick={() => void look.run()}>
          Dry run
        </button>
        <button type="button" className="primary" disabled={save.busy} onClick={() => void save.run()}>
          Save set
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

function RemoveSet({ of, onClose, onDone }: { of: DeclarationSet; onClose: () => void; onDone: () => void }) {
  const act = useAct(async () => {
    await declaredApi.removeSet(of.id);
    onDone();
    onClose();
  });
  return (
    <Dialog title={`Remove ${of.name}`} onClose={onClose}>
      <p className="note warn">
        {of.reached === 1 ? '1 device has it' : `${of.reached} devices have it`}, and undo what no other set gives them.
        The declarations stay here.
      </p>
      <Refused problem={act.problem} />
      <div className="row">
        <button type="button" className="danger" disabled={act.busy} onClick={() => void act.run()}>
          Remove set
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

const whom = ({ everyone, groups, devices, origin }: DeclarationSet): string => {
  if (everyone) return 'every device';
  if (origin === 'standard') return 'every device that has any set';
  const some = devices.length === 1 ? '1 device' : `${devices.length} devices`;
  return [...groups.map(({ name }) => name), ...(devices.length > 0 ? [some] : [])].join(', ') || 'nobody';
};

/** Which declarations go to whom. */
export function DeclarationSets(given: { declarations: readonly Declaration[]; mayChange: boolean }) {
  const answer = useAnswer('declaration-sets', declaredApi.sets);
  const [open, setOpen] = useState<DeclarationSet | 'new'>();
  const [gone, setGone] = useState<DeclarationSet>();
  const [asking, setAsking] = useState<DeclarationSet>();
  return (
    <section className="section">
      <div className="row apart">
        <h2>Sets</h2>
        {given.mayChange ? (
          <button type="button" onClick={() => setOpen('new')}>
            New set
          </button>
        ) : null}
      </div>
      <Loaded answer={answer}>
        {({ items }) => (
          <ul>
            {items.map((one) => (
              <li key={one.id} className="row">
                <strong>{one.name}</strong>
                <span className="quiet small">
                  {one.declarations.length === 1 ? '1 declaration' : `${one.declarations.length} declarations`} for{' '}
                  {whom(one)}
                  {one.predicate === null || one.predicate === '' ? '' : ', where its predicate holds'}; {one.reached}{' '}
                  have it
                </span>
                {one.missing.length > 0 ? <Chip tone="bad">lacks {one.missing.join(', ')}</Chip> : null}
                {one.rings === null ? null : (
                  <a className="chip info" href="/rollouts">
                    {one.rings.replaces === null ? 'in rings' : `in rings, in place of ${one.rings.replaces}`}
                  </a>
                )}
                <Agreed of={one} mayChange={given.mayChange} onAsk={() => setAsking(one)} />
                {given.mayChange ? (
                  <button type="button" className="plain" onClick={() => setOpen(one)}>
                    {one.origin === 'administrator' ? 'Change' : 'Change its scope'}
                    <span className="hidden-visually"> of {one.name}</span>
                  </button>
                ) : null}
                {given.mayChange && one.origin === 'administrator' ? (
                  <button type="button" className="plain" onClick={() => setGone(one)}>
                    Remove<span className="hidden-visually"> {one.name}</span>
                  </button>
                ) : null}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      {asking === undefined ? null : (
        <AskDialog of={asking} onClose={() => setAsking(undefined)} onDone={answer.reload} />
      )}
      {gone === undefined ? null : <RemoveSet of={gone} onClose={() => setGone(undefined)} onDone={answer.reload} />}
      {open === undefined ? null : (
        <SetDialog
          of={open === 'new' ? undefined : open}
          sets={answer.data?.items ?? []}
          declarations={given.declarations}
          onClose={() => setOpen(undefined)}
          onDone={answer.reload}
        />
      )}
    </section>
  );
}
