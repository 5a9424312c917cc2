import { type FormEvent, useState } from 'react';
import { api } from '../client.ts';
import { useAct } from '../data.ts';
import { Emergency, emergencyFault } from '../emergency.tsx';
import type { Channel, Device } from '../model.ts';
import { Chip, Dialog, GlassLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { ACTIONS, type ActionSpec, type FieldSpec, GROUPS, type Values } from './commands-table.ts';

function Field(props: { spec: FieldSpec; value: string | boolean; onChange: (value: string | boolean) => void }) {
  const { spec, value, onChange } = props;
  const id = `command-${spec.name}`;
  if (spec.kind === 'yes-no') {
    return (
      <label className="row" htmlFor={id}>
        <input id={id} type="checkbox" checked={value === true} onChange={(event) => onChange(event.target.checked)} />{' '}
        {spec.label}
      </label>
    );
  }
  if (spec.kind === 'choice') {
    return (
      <div className="field">
        <label htmlFor={id}>
          {spec.label} {spec.hint === undefined ? null : <span className="hint">{spec.hint}</span>}
        </label>
        <select id={id} value={String(value)} onChange={(event) => onChange(event.target.value)}>
          {spec.options?.map(([sent, words]) => (
            <option key={sent} value={sent}>
              {words}
            </option>
          ))}
        </select>
      </div>
    );
  }
  const code = spec.kind === 'plist' || spec.kind === 'json';
  const common = { id, value: String(value), autoComplete: 'off' };
  return (
    <div className="field">
      <label htmlFor={id}>
        {spec.label} {spec.hint === undefined ? null : <span className="hint">{spec.hint}</span>}
      </label>
      {spec.kind === 'line' ? (
        <input {...common} className="mono" onChange={(event) => onChange(event.target.value)} />
      ) : (
        <textarea
          {...common}
          className={code ? 'mono' : undefined}
          spellCheck={!code}
          maxLength={code ? 512 * 1024 : 300}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </div>
  );
}

const OWN = ['identifier', 'plist', 'profile'];

/** The parameters of an intent: named by Apple's own keys, what was left empty is left out. A text says what is wrong. */
function paramsOf(spec: ActionSpec, values: Values, channel: number | undefined): object | string {
  const to = channel === undefined ? {} : { channel };
  if (spec.args !== undefined) {
    const args = spec.args(values);
    return typeof args === 'string' ? args : { args, ...to };
  }
  const given = Object.entries(values).filter(([, value]) => value !== '' && value !== false);
  const own = given.filter(([name]) => OWN.includes(name));
  const args = given.filter(([name]) => !OWN.includes(name));
  return { ...Object.fromEntries(own), ...to, ...(args.length === 0 ? {} : { args: Object.fromEntries(args) }) };
}

function Done(props: { spec: ActionSpec; handle: string; outcome: Outcome; onClose: () => void }) {
  const { spec, handle, onClose } = props;
  const { approval, state } = props.outcome;
  const { glass } = useSession();
  const secret = spec.verb === 'ClearPasscode';
  return (
    <div className="stack" role="status">
      {approval !== null ? (
        <p className="note warn">
          <strong>It waits for two people.</strong> Nothing is sent until two admins have signed exactly this.
        </p>
      ) : state === 'held' ? (
        <p className="note warn">
          <strong>It is held.</strong> With this you would change more devices within an hour than one person may.
          Another administrator releases it in the <a href="/queue">queue</a>.
        </p>
      ) : secret ? (
        <p className="note warn">
          <strong>One step is left.</strong> The command waits until you release the unlock token with a touch on glass.
          Nobody sees the token.
        </p>
      ) : (
        <p className="note good">
          <strong>It runs.</strong> The device fetches the signed command at its next check-in.
        </p>
      )}
      <div className="row">
        {approval === null ? null : (
          <GlassLink glass={glass} task={`approve=${approval}`} primary>
            Review and sign
          </GlassLink>
        )}
        {secret ? (
          <GlassLink glass={glass} task={`release=unlock-token&device=${handle}`} primary={approval === null}>
            Release the unlock token
          </GlassLink>
        ) : null}
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </div>
  );
}

interface Outcome {
  readonly state: string;
  readonly approval: string | null;
}

/** The device's own channel, or that of one of its users: who that is is not known here. */
function ChannelChoice(props: { channels: readonly Channel[]; value: string; onChange: (value: string) => void }) {
  return (
    <div className="field">
      <label htmlFor="command-channel">For</label>
      <select id="command-channel" value={props.value} onChange={(event) => props.onChange(event.target.value)}>
        <option value="">the device</option>
        {props.channels.map(({ id, kind, since }) => (
          <option key={id} value={id}>
            {kind === 'shared' ? 'a user of the shared iPad' : 'a user'}, channel {id}, since {since.slice(0, 10)}
          </option>
        ))}
      </select>
    </div>
  );
}

interface Given {
  readonly spec: ActionSpec;
  readonly handle: string;
  readonly channels: readonly Channel[];
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function CommandDialog(props: Given) {
  const { spec, handle, channels, onClose, onDone } = props;
  const [channel, setChannel] = useState('');
  const [values, setValues] = useState<Values>({});
  const [purpose, setPurpose] = useState('');
  const [typed, setTyped] = useState('');
  const [emergency, setEmergency] = useState<string>();
  const [wrong, setWrong] = useState<string>();
  const [outcome, setOutcome] = useState<Outcome>();
  const grave = spec.risk === 'destroy' || spec.risk === 'raw';
  const act = useAct(async (params: object) => {
    const { verb } = spec;
    setOutcome(
      await api.intent({
        verb,
        devices: [handle],
        params,
        purpose: purpose.trim(),
        ...(emergency === undefined ? {} : { emergency: emergency.trim() }),
      }),
    );
    onDone();
  });
  const title = `${spec.label}: ${handle}`;
  if (outcome !== undefined) {
    return (
      <Dialog title={title} onClose={onClose}>
        <Done spec={spec} handle={handle} outcome={outcome} onClose={onClose} />
      </Dialog>
    );
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    const missing = spec.fields?.find((field) => field.needed && !String(values[field.name] ?? '').trim());
    if (missing !== undefined) return setWrong(`${missing.label} is missing.`);
    if (purpose.trim().length < 5) return setWrong('Say in 5 to 200 characters why.');
    const fault = emergencyFault(emergency);
    if (fault !== undefined) return setWrong(fault);
    if (grave && typed.trim() !== handle) return setWrong(`Type ${handle} to confirm which device this is for.`);
    const params = paramsOf(spec, values, channel === '' ? undefined : Number(channel));
    if (typeof params === 'string') return setWrong(params);
    setWrong(undefined);
    void act.run(params);
  }

  return (
    <Dialog title={title} onClose={onClose}>
      <p className={spec.risk === 'destroy' ? 'note bad' : spec.risk === 'read' ? 'note' : 'note warn'}>
        {spec.effect}
      </p>
      <form className="stack" onSubmit={submit} noValidate>
        {spec.channel === true && channels.length > 0 ? (
          <ChannelChoice channels={channels} value={channel} onChange={setChannel} />
        ) : null}
        {spec.fields?.map((field) => (
          <Field
            key={field.name}
            spec={field}
            value={values[field.name] ?? ''}
            onChange={(value) => setValues({ ...values, [field.name]: value })}
          />
        ))}
        <div className="field">
          <label htmlFor="command-purpose">
            Why? <span className="hint">It goes into the log; no names, no numbers</span>
          </label>
          <textarea
            id="command-purpose"
            maxLength={200}
            value={purpose}
            aria-describedby="command-wrong"
            onChange={(event) => setPurpose(event.target.value)}
          />
        </div>
        {spec.risk === 'change' ? <Emergency value={emergency} onChange={setEmergency} /> : null}
        {grave ? (
          <div className="field">
            <label htmlFor="command-typed">Type {handle} to confirm</label>
            <input
              id="command-typed"
              className="mono"
              autoComplete="off"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          </div>
        ) : null}
        <p id="command-wrong" className="field-error" role="alert">
          {wrong}
        </p>
        <Refused problem={act.problem} />
        <div className="row">
          <button type="submit" className={spec.risk === 'destroy' ? 'danger' : 'primary'} disabled={act.busy}>
            {['locate', 'destroy', 'raw'].includes(spec.risk) ? 'Ask for two signatures' : spec.label}
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Why an action cannot be asked for now, or undefined. */
function obstacle(spec: ActionSpec, device: Device): string | undefined {
  if (device.state !== 'enrolled') return 'not enrolled';
  if (spec.verb === 'EraseDevice' && device.ownership === 'personal') return 'a personal device is never erased';
  if (spec.sharedIpad && device.productName?.startsWith('iPhone') === true) return 'shared iPads only';
  if (spec.supervised && device.supervised === false) return 'supervised devices only';
  if (spec.lost === true && device.lostMode !== true) return 'in lost mode only';
  if (spec.lost === false && device.lostMode === true) return 'lost mode is on';
  return undefined;
}

/** Everything that can be asked of this device, by how much harm it can do. */
export function DeviceActions(props: { device: Device; channels: readonly Channel[]; onDone: () => void }) {
  const { device, channels, onDone } = props;
  const { glass } = useSession();
  const [chosen, setChosen] = useState<ActionSpec>();
  return (
    <section className="section">
      <h2>Actions {device.lostMode === true ? <Chip tone="warn">lost mode is on</Chip> : null}</h2>
      {GROUPS.map(({ risk, title, rule }) => (
        <details key={risk}>
          <summary>
            {title} <span className="hint">{rule}</span>
          </summary>
          <ul className="acts">
            {ACTIONS.filter((action) => action.risk === risk).map((action) => {
              const why = obstacle(action, device);
              return (
                <li key={action.label}>
                  <span>
                    {action.effect} {why === undefined ? null : <span className="quiet">({why})</span>}
                  </span>
                  <button
                    type="button"
                    className={risk === 'destroy' ? 'danger' : undefined}
                    disabled={why !== undefined}
                    onClick={() => setChosen(action)}
                  >
                    {action.label}
                  </button>
                </li>
              );
            })}
            {risk === 'locate' ? (
              <li>
                <span>The last place that was read is sealed.</span>
                <GlassLink glass={glass} task={`reveal=location&subjects=${device.handle}`}>
                  Show it on glass
                </GlassLink>
              </li>
            ) : null}
          </ul>
        </details>
      ))}
      {chosen === undefined ? null : (
        <CommandDialog
          spec={chosen}
          handle={device.handle}
          channels={channels}
          onClose={() => setChosen(undefined)}
          onDone={onDone}
        />
      )}
    </section>
  );
}
