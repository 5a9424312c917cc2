import { useState } from 'react';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Dialog, Loaded, Refused } from '../parts.tsx';
import { type Declaration, type DeclarationSet, declaredApi } from './declared-api.ts';
import { fleetApi } from './fleet-api.ts';

const toggle = (list: readonly string[], id: string) =>
  list.includes(id) ? list.filter((one) => one !== id) : [...list, id];

interface Given {
  readonly of: DeclarationSet | undefined;
  readonly declarations: readonly Declaration[];
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function SetDialog({ of, declarations, onClose, onDone }: Given) {
  const groups = useAnswer('groups', fleetApi.groups).data?.items ?? [];
  const [name, setName] = useState(of?.name ?? '');
  const [everyone, setEveryone] = useState(of?.everyone ?? false);
  const [chosen, setChosen] = useState<readonly string[]>(of?.declarations.map(({ id }) => id) ?? []);
  const [scope, setScope] = useState<readonly string[]>(of?.groups.map(({ id }) => id) ?? []);
  const [run, setRun] = useState<{ now: number; then: number; join: readonly string[]; leave: readonly string[] }>();
  const body = { id: of?.id ?? null, everyone, groups: scope, devices: of?.devices ?? [] };
  const look = useAct(async () => setRun(await declaredApi.preview(body)));
  const save = useAct(async () => {
    await declaredApi.saveSet({ ...body, name, predicate: of?.predicate ?? null, declarations: chosen });
    onDone();
    onClose();
  });
  return (
    <Dialog title={of === undefined ? 'New set' : `Change ${of.name}`} onClose={onClose}>
      <div className="field">
        <label htmlFor="set-name">Name</label>
        <input id="set-name" value={name} maxLength={80} onChange={(event) => setName(event.target.value)} />
      </div>
      <fieldset>
        <legend>Declarations</legend>
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
      <p role="status">
        {run === undefined
          ? null
          : `${run.now} devices have it now, ${run.then} would: ${run.join.length === 500 ? 'at least ' : ''}${run.join.length} come in, ${run.leave.length === 500 ? 'at least ' : ''}${run.leave.length} go.`}
      </p>
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

/** Which declarations go to whom. */
export function DeclarationSets(given: { declarations: readonly Declaration[]; mayChange: boolean }) {
  const answer = useAnswer('declaration-sets', declaredApi.sets);
  const [open, setOpen] = useState<DeclarationSet | 'new'>();
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
                  {one.declarations.length} declarations for{' '}
                  {one.everyone ? 'every device' : one.groups.map(({ name }) => name).join(', ') || 'chosen devices'};{' '}
                  {one.reached} have it
                </span>
                {one.missing.length > 0 ? <Chip tone="bad">lacks {one.missing.join(', ')}</Chip> : null}
                {given.mayChange && one.origin === 'administrator' ? (
                  <button type="button" className="plain" onClick={() => setOpen(one)}>
                    Change
                  </button>
                ) : null}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      {open === undefined ? null : (
        <SetDialog
          of={open === 'new' ? undefined : open}
          declarations={given.declarations}
          onClose={() => setOpen(undefined)}
          onDone={answer.reload}
        />
      )}
    </section>
  );
}
