import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Dialog, GlassLink, Loaded, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
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
  const [run, setRun] = useState<SetPreview>();
  const body = { id: of?.id ?? null, everyone, groups: scope, devices: of?.devices ?? [] };
  const look = useAct(async () => setRun(await declaredApi.preview({ ...body, declarations: chosen })));
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
      <p role="status">{run === undefined ? null : outcome(run)}</p>
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

/** Asks two people to sign for the dangerous declarations of a set; each reads them on glass. */
function AskDialog({ of, onClose, onDone }: { of: DeclarationSet; onClose: () => void; onDone: () => void }) {
  const { glass } = useSession();
  const [purpose, setPurpose] = useState('');
  const [days, setDays] = useState('365');
  const [approval, setApproval] = useState<string>();
  const ask = useAct(async () => {
    setApproval((await declaredApi.ask(of.id, { purpose, days: Number(days) })).approval);
    onDone();
  });
  return (
    <Dialog title={`Ask two people to agree to ${of.name}`} onClose={onClose}>
      {approval === undefined ? (
        <>
          <p>
            They sign with their passkeys for exactly what the declarations say now, and for exactly the devices that
            the set is for now. A device that comes to the set later, and any change, needs them anew.
          </p>
          <div className="field">
            <label htmlFor="ask-purpose">Why</label>
            <input
              id="ask-purpose"
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <div className="field">
            <label htmlFor="ask-days">Days until devices lose it, unless two people sign anew</label>
            <input
              id="ask-days"
              type="number"
              min={1}
              max={399}
              value={days}
              onChange={(event) => setDays(event.target.value)}
            />
          </div>
          <Refused problem={ask.problem} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={ask.busy || purpose.trim().length < 5}
              onClick={() => void ask.run()}
            >
              Ask
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </>
      ) : (
        <>
          <p role="status">It waits for two signatures under Approvals. Yours may be one of them.</p>
          <div className="row">
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

/** How a set stands to what needs two people, and the way to ask them. */
function Agreed({ of, mayChange, onAsk }: { of: DeclarationSet; mayChange: boolean; onAsk: () => void }) {
  const { glass } = useSession();
  const { permit } = of;
  if (permit === null) return null;
  return (
    <>
      {permit.waiting > 0 ? (
        <Chip tone="warn">
          {permit.guarded} dangerous, {permit.waiting} {permit.waiting === 1 ? 'device waits' : 'devices wait'} for two
          people
        </Chip>
      ) : null}
      {permit.until === null ? null : (
        <span className="quiet small">
          agreed until <When at={permit.until} />
        </span>
      )}
      {permit.approval !== null ? (
        <GlassLink glass={glass} task={`approve=${permit.approval}`}>
          Review and sign
        </GlassLink>
      ) : mayChange ? (
        <button type="button" className={permit.waiting > 0 ? '' : 'plain'} onClick={onAsk}>
          {permit.waiting > 0 ? 'Ask two people' : 'Renew'}
        </button>
      ) : null}
    </>
  );
}

/** Which declarations go to whom. */
export function DeclarationSets(given: { declarations: readonly Declaration[]; mayChange: boolean }) {
  const answer = useAnswer('declaration-sets', declaredApi.sets);
  const [open, setOpen] = useState<DeclarationSet | 'new'>();
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
                  {one.declarations.length} declarations for{' '}
                  {one.everyone ? 'every device' : one.groups.map(({ name }) => name).join(', ') || 'chosen devices'};{' '}
                  {one.reached} have it
                </span>
                {one.missing.length > 0 ? <Chip tone="bad">lacks {one.missing.join(', ')}</Chip> : null}
                <Agreed of={one} mayChange={given.mayChange} onAsk={() => setAsking(one)} />
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
      {asking === undefined ? null : (
        <AskDialog of={asking} onClose={() => setAsking(undefined)} onDone={answer.reload} />
      )}
    </section>
  );
}
