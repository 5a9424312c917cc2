import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { RolloutCard } from './rings.tsx';
import { rolloutsApi, type WindowRow } from './rollouts-api.ts';
import { StartRollout } from './rollouts-start.tsx';

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;
const clock = (minute: number) =>
  `${String(Math.floor((minute % 1440) / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

function when({ days, fromMinute, minutes, timeZone }: WindowRow): string {
  const named = days.length === 7 ? 'every day' : days.map((day) => DAYS[day]).join(', ');
  return `${named}, ${clock(fromMinute)} to ${clock(fromMinute + minutes)} in ${timeZone}`;
}

function AddWindow({ onClose }: { onClose: () => void }) {
  const groups = useAnswer('groups', rolloutsApi.groups);
  const [group, setGroup] = useState('');
  const [timeZone, setTimeZone] = useState(Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [days, setDays] = useState<readonly number[]>([5, 6]);
  const [from, setFrom] = useState('22:00');
  const [hours, setHours] = useState('6');
  const add = useAct(async () => {
    const [hour, minute] = from.split(':').map(Number);
    const minutes = Math.round(Number(hours) * 60);
    await rolloutsApi.addWindow({ group, timeZone, days, fromMinute: (hour ?? 0) * 60 + (minute ?? 0), minutes });
    onClose();
  });
  return (
    <Dialog title="Add a maintenance window" onClose={onClose}>
      <p className="quiet">
        Changes reach the devices of the group in its windows only. Reading, locking and erasing never wait. Whoever
        must change something at once says why, and it goes.
      </p>
      <div className="field">
        <label htmlFor="window-group">Group</label>
        <select id="window-group" value={group} onChange={(event) => setGroup(event.target.value)}>
          <option value="">Choose a group</option>
          {groups.data?.items.map(({ id, name, members }) => (
            <option key={id} value={id}>
              {name} ({members})
            </option>
          ))}
        </select>
      </div>
      <fieldset className="field">
        <legend>Opens on</legend>
        <div className="row">
          {DAYS.map((day, index) => (
            <label key={day}>
              <input
                type="checkbox"
                checked={days.includes(index)}
                onChange={() =>
                  setDays(days.includes(index) ? days.filter((one) => one !== index) : [...days, index].sort())
                }
              />{' '}
              {day.slice(0, 3)}
            </label>
          ))}
        </div>
      </fieldset>
      <div className="row">
        <div className="field">
          <label htmlFor="window-from">From</label>
          <input id="window-from" type="time" value={from} onChange={(event) => setFrom(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor="window-hours">Hours</label>
          <input
            id="window-hours"
            type="number"
            min="0.25"
            max="24"
            step="0.25"
            value={hours}
            onChange={(event) => setHours(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor="window-zone">Time zone</label>
          <input id="window-zone" value={timeZone} onChange={(event) => setTimeZone(event.target.value)} />
        </div>
      </div>
      <Refused problem={add.problem} />
      <div className="row">
        <button
          type="button"
          className="primary"
          disabled={add.busy || group === '' || days.length === 0}
          onClick={() => void add.run()}
        >
          Add the window
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

function Windows() {
  const answer = useAnswer('windows', rolloutsApi.windows);
  const [adding, setAdding] = useState(false);
  const mayChange = useMayChange();
  const remove = useAct(async (id: string) => {
    await rolloutsApi.removeWindow(id);
    answer.reload();
  });
  return (
    <section className="section stack">
      <div className="row apart">
        <h2>Maintenance windows</h2>
        {mayChange ? (
          <button type="button" onClick={() => setAdding(true)}>
            Add a window
          </button>
        ) : null}
      </div>
      <Refused problem={remove.problem} />
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="quiet">None: changes reach devices at any time.</p>
          ) : (
            <ul>
              {items.map((window) => (
                <li key={window.id} className="command">
                  <div className="row apart">
                    <span>
                      <strong>{window.groupName}</strong> {when(window)}{' '}
                      <span className="quiet small">
                        opens <When at={window.opensAt} />
                      </span>
                    </span>
                    {mayChange ? (
                      <button type="button" disabled={remove.busy} onClick={() => void remove.run(window.id)}>
                        Remove<span className="hidden-visually"> the window of {window.groupName}</span>
                      </button>
                    ) : null}
                  </div>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {adding ? (
        <AddWindow
          onClose={() => {
            setAdding(false);
            answer.reload();
          }}
        />
      ) : null}
    </section>
  );
}

export function Rollouts() {
  const answer = useAnswer('rollouts', rolloutsApi.rollouts);
  const mayChange = useMayChange();
  const [starting, setStarting] = useState(false);
  return (
    <Frame
      title="Rollouts"
      aside={
        mayChange ? (
          <button type="button" className="primary" onClick={() => setStarting(true)}>
            Start a rollout
          </button>
        ) : undefined
      }
    >
      <p className="quiet">
        A new version of a profile or an app, or a set of declarations, reaches a few devices, is watched for a day,
        then more. Too many errors stop it by themselves; going faster takes two people.
      </p>
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No rollouts yet">Choose a profile, an app or a set of declarations to go out in rings.</Empty>
          ) : (
            <div>
              <h2 className="hidden-visually">All rollouts</h2>
              {items.map((rollout) => (
                <RolloutCard key={rollout.id} rollout={rollout} onChange={answer.reload} />
              ))}
            </div>
          )
        }
      </Loaded>
      <Windows />
      {starting ? (
        <StartRollout
          onClose={() => {
            setStarting(false);
            answer.reload();
          }}
        />
      ) : null}
    </Frame>
  );
}
