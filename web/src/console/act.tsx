import { type FormEvent, useState } from 'react';
import { api } from './client.ts';
import { useAct, useDraft } from './data.ts';
import { Emergency, emergencyFault } from './emergency.tsx';
import { Dialog, GlassLink, Refused } from './parts.tsx';
import { useSession } from './session.tsx';

export const ACTS = {
  refresh: {
    label: 'Refresh inventory',
    verb: 'DeviceInformation',
    effect: 'Asks each device for its facts. Runs at once.',
  },
  install: {
    label: 'Install profile',
    verb: 'InstallProfile',
    effect: 'Puts a configuration profile on each device. Runs at once; a dangerous one waits for two signatures.',
  },
  lock: {
    label: 'Lock',
    verb: 'DeviceLock',
    effect: 'Locks each screen. Up to 5 devices an hour run at once on your word; more wait for two signatures.',
  },
  erase: {
    label: 'Erase',
    verb: 'EraseDevice',
    effect: 'Erases everything on each device. Always waits for two signatures; the guards’ limits hold even then.',
  },
} as const;
export type ActName = keyof typeof ACTS;

function Outcome(props: { state: string; approval: string | null; count: number; onClose: () => void }) {
  const { glass } = useSession();
  const { approval, count, onClose } = props;
  const devices = count === 1 ? '1 device' : `${count} devices`;
  return (
    <div className="stack" role="status">
      {props.state === 'held' ? (
        <p className="note warn">
          <strong>It is held.</strong> With this you would change more devices within an hour than one person may.
          Another administrator releases it in the <a href="/queue">queue</a>; a rollout in rings needs nobody.
        </p>
      ) : approval === null ? (
        <p className="note good">
          <strong>It runs.</strong> Signed commands go out to {devices}; each device fetches its own at its next
          check-in.
        </p>
      ) : (
        <p className="note warn">
          <strong>It waits for two people.</strong> Nothing is sent to {devices} until two admins have signed exactly
          this set.
        </p>
      )}
      <div className="row">
        {approval === null ? null : (
          <>
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <a className="button" href="/approvals">
              All approvals
            </a>
          </>
        )}
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </div>
  );
}

/** States an intent for some devices: what happens, why, and whether it runs or waits. */
export function ActDialog({
  name,
  devices,
  onClose,
  onDone,
}: {
  name: ActName;
  devices: readonly string[];
  onClose: () => void;
  onDone: () => void;
}) {
  const { label, verb, effect } = ACTS[name];
  const [purpose, setPurpose, clearPurpose] = useDraft(`purpose:${name}`);
  const [profile, setProfile, clearProfile] = useDraft('profile');
  const [typed, setTyped] = useState('');
  const [emergency, setEmergency] = useState<string>();
  const [wrong, setWrong] = useState<string>();
  const [outcome, setOutcome] = useState<{ state: string; approval: string | null }>();
  const act = useAct(async () => {
    const params = name === 'install' ? { profile } : {};
    const answer = await api.intent({
      verb,
      devices,
      params,
      purpose: purpose.trim(),
      ...(emergency === undefined ? {} : { emergency: emergency.trim() }),
    });
    setOutcome(answer);
    clearPurpose();
    clearProfile();
    onDone();
  });
  const count = devices.length;
  const title = `${label}: ${count === 1 ? devices[0] : `${count} devices`}`;
  if (outcome !== undefined) {
    return (
      <Dialog title={title} onClose={onClose}>
        <Outcome {...outcome} count={count} onClose={onClose} />
      </Dialog>
    );
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    const length = purpose.trim().length;
    if (length < 5 || length > 200) return setWrong('Say in 5 to 200 characters why.');
    if (name === 'install' && !profile.trim().startsWith('<'))
      return setWrong('Choose or paste a profile (XML property list).');
    const fault = emergencyFault(emergency);
    if (fault !== undefined) return setWrong(fault);
    if (name === 'erase' && typed.trim() !== String(count))
      return setWrong(`Type ${count}, the number of devices that lose everything.`);
    setWrong(undefined);
    void act.run();
  }

  return (
    <Dialog title={title} onClose={onClose}>
      <p className={name === 'erase' ? 'note bad' : 'note'}>{effect}</p>
      {count > 1 ? (
        <details>
          <summary>The {count} devices</summary>
          <p className="handle-list mono small">
            {devices.map((device) => (
              <span key={device}>{device}</span>
            ))}
          </p>
        </details>
      ) : null}
      <form className="stack" onSubmit={submit} noValidate>
        {name === 'install' ? (
          <div className="field">
            <label htmlFor="act-profile">Profile</label>
            <input
              type="file"
              aria-label="Profile file"
              accept=".mobileconfig,.plist,application/x-apple-aspen-config"
              onChange={(event) => event.target.files?.[0]?.text().then(setProfile)}
            />
            <textarea
              id="act-profile"
              className="mono"
              spellCheck={false}
              value={profile}
              onChange={(event) => setProfile(event.target.value)}
            />
          </div>
        ) : null}
        <div className="field">
          <label htmlFor="act-purpose">
            Why? <span className="hint">It goes into the log; no names, no numbers</span>
          </label>
          <textarea
            id="act-purpose"
            maxLength={200}
            value={purpose}
            aria-describedby="act-wrong"
            onChange={(event) => setPurpose(event.target.value)}
          />
        </div>
        {name === 'install' ? <Emergency value={emergency} onChange={setEmergency} /> : null}
        {name === 'erase' ? (
          <div className="field">
            <label htmlFor="act-count">Type {count} to confirm how many devices are erased</label>
            <input
              id="act-count"
              inputMode="numeric"
              autoComplete="off"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          </div>
        ) : null}
        <p id="act-wrong" className="field-error" role="alert">
          {wrong}
        </p>
        <Refused problem={act.problem} />
        <div className="row">
          <button type="submit" className={name === 'erase' ? 'danger' : 'primary'} disabled={act.busy}>
            {name === 'erase' ? 'Ask for two signatures' : label}
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
