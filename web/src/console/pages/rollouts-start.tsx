import { useState } from 'react';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { Dialog, Empty, Loaded, Refused } from '../parts.tsx';
import { rolloutsApi, type Subject } from './rollouts-api.ts';

const KIND = { profile: 'Profiles', app: 'Apps', set: 'Sets of declarations' } as const;
const WAYS: Readonly<Record<Subject['kind'], string>> = {
  profile: 'A device has it once it acknowledged the profile.',
  app: 'A device has it once it lists the app as managed; one that only acknowledged the command still waits.',
  set: 'A device has it once it reports every declaration of the set as valid and active.',
};

/** Chooses what goes out in rings: a profile, an app or a set of declarations; `only` narrows it to one. */
export function StartRollout({ only, onClose }: { only?: { kind: string; id: string }; onClose: () => void }) {
  const answer = useAnswer('rollout-subjects', rolloutsApi.subjects);
  return (
    <Dialog title="Start a rollout" onClose={onClose}>
      <Loaded answer={answer}>
        {({ items }) => {
          const subjects = items.filter(({ kind, id }) => only === undefined || (only.kind === kind && only.id === id));
          return subjects.length === 0 ? (
            <>
              <Empty title="Nothing can be rolled out yet">
                Store a profile, hand in an app, or make a set of declarations that goes out in rings.
              </Empty>
              <button type="button" onClick={onClose}>
                Close
              </button>
            </>
          ) : (
            <Choose subjects={subjects} onClose={onClose} />
          );
        }}
      </Loaded>
    </Dialog>
  );
}

function Choose({ subjects, onClose }: { subjects: readonly Subject[]; onClose: () => void }) {
  const [chosen, setChosen] = useState(subjects.length === 1 ? subjects[0]!.id : '');
  const [version, setVersion] = useState('');
  const [purpose, setPurpose, clear] = useDraft('purpose:rollout');
  const subject = subjects.find(({ id }) => id === chosen);
  const picked = version === '' ? subject?.versions[0]?.id : version;
  const start = useAct(async () => {
    if (subject === undefined) return;
    const { kind, id } = subject;
    const what = picked === undefined ? {} : { version: picked };
    await rolloutsApi.roll({ kind, subject: id, ...what, purpose: purpose.trim() });
    clear();
    onClose();
  });
  return (
    <>
      <div className="field">
        <label htmlFor="rollout-subject">What</label>
        <select
          id="rollout-subject"
          value={chosen}
          onChange={(event) => {
            setChosen(event.target.value);
            setVersion('');
          }}
        >
          <option value="">Choose</option>
          {(Object.keys(KIND) as Subject['kind'][]).map((kind) => {
            const some = subjects.filter((one) => one.kind === kind);
            return some.length === 0 ? null : (
              <optgroup key={kind} label={KIND[kind]}>
                {some.map(({ id, name }) => (
                  <option key={id} value={id}>
                    {name}
                  </option>
                ))}
              </optgroup>
            );
          })}
        </select>
      </div>
      {subject === undefined || subject.versions.length === 0 ? null : (
        <div className="field">
          <label htmlFor="rollout-version">Version</label>
          <select id="rollout-version" value={picked} onChange={(event) => setVersion(event.target.value)}>
            {subject.versions.map(({ id, number, label }) => (
              <option key={id} value={id}>
                {label === null ? number : `${number} (${label})`}
              </option>
            ))}
          </select>
        </div>
      )}
      {subject === undefined ? null : (
        <p className="quiet">
          For {subject.groups.length === 0 ? 'nobody yet: assign it to a group' : subject.groups.join(', ')}. At first 1
          % of the devices, at least 5; after 24 hours without trouble 10 %; after 24 more all of them. More than 10 %
          errors stop it. {WAYS[subject.kind]}
        </p>
      )}
      {subject?.twoPeople === true ? (
        <p className="note warn">Each ring waits until two people have signed exactly what its devices will get.</p>
      ) : null}
      <div className="field">
        <label htmlFor="rollout-why">
          Why? <span className="hint">It goes into the log; no names, no numbers</span>
        </label>
        <textarea
          id="rollout-why"
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
          disabled={start.busy || subject === undefined || purpose.trim().length < 5}
          onClick={() => void start.run()}
        >
          Start with the first ring
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </>
  );
}
