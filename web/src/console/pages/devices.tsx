import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { ACTS, ActDialog, type ActName } from '../act.tsx';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import { useRows } from '../keys.ts';
import { Choice, Pager, Search, Tick, usePicked } from '../list.tsx';
import { type Device, STATES } from '../model.ts';
import { DeviceLink, Empty, Frame, Loaded, or, PersonLink, StateChip, stateWord } from '../parts.tsx';
import { useSearch } from '../router.ts';
import { useMayChange } from '../session.tsx';
import { fleetApi } from './fleet-api.ts';
import { RetireDialog } from './fleet-retire.tsx';
import { DeviceFilter } from './fleet-search.tsx';

function Rows({ items, pick }: { items: readonly Device[]; pick: ReturnType<typeof usePicked> }) {
  const { body } = useRows(items.length, { select: (row) => pick.toggle((items[row] as Device).handle) });
  const every = items.every((device) => pick.picked.has(device.handle));
  return (
    <div className="scroll">
      <table className="list">
        <thead>
          <tr>
            <th scope="col" className="tick">
              <Tick
                label="Select all on this page"
                checked={every}
                onChange={() =>
                  pick.all(
                    items.map((device) => device.handle),
                    !every,
                  )
                }
              />
            </th>
            <th scope="col">Device</th>
            <th scope="col">State</th>
            <th scope="col">Holder</th>
            <th scope="col">Model</th>
            <th scope="col">System</th>
            <th scope="col">Last seen</th>
            <th scope="col" className="number">
              Pending
            </th>
          </tr>
        </thead>
        <tbody ref={body}>
          {items.map((device) => (
            <tr key={device.handle} className={pick.picked.has(device.handle) ? 'picked' : undefined}>
              <td className="tick">
                <Tick
                  label={`Select ${device.handle}`}
                  checked={pick.picked.has(device.handle)}
                  onChange={() => pick.toggle(device.handle)}
                />
              </td>
              <th scope="row">
                <DeviceLink handle={device.handle} />
              </th>
              <td>
                <StateChip state={device.state} />
              </td>
              <td>
                <PersonLink handle={device.holder} />
              </td>
              <td>{or(device.productName ?? device.model)}</td>
              <td>{or(device.osVersion)}</td>
              <td>
                <When at={device.lastSeenAt} />
              </td>
              <td className="number">
                {device.pending === 0 ? (
                  <span className="quiet">0</span>
                ) : (
                  <a href={`/devices/${device.handle}`} aria-label={`${device.pending} pending for ${device.handle}`}>
                    {device.pending}
                  </a>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The server takes no more in one retirement. */
const MOST_RETIRED = 100;

export function Devices() {
  const [search] = useSearch();
  const filter = {
    ...{ q: search.get('q'), state: search.get('state'), after: search.get('after'), limit: 100 },
    ...{ group: search.get('group'), silent: search.get('silent'), filter: search.get('filter') },
  };
  const answer = useAnswer(`devices:${search}`, (signal) => api.devices(filter, signal));
  const pick = usePicked();
  const [act, setAct] = useState<ActName>();
  const [retiring, setRetiring] = useState(false);
  const mayChange = useMayChange();
  const handles = [...pick.picked].sort();
  const filtered = ['q', 'state', 'group', 'silent', 'filter'].some((name) => search.has(name));
  const groups = useAnswer('groups', fleetApi.groups).data?.items ?? [];
  return (
    <Frame title="Devices">
      <Search label="Search handle, holder, model, system">
        <Choice
          name="state"
          label="State"
          options={[['', 'Every state'], ...STATES.map((state) => [state, stateWord(state)] as const)]}
        />
        <Choice
          name="group"
          label="Group"
          options={[['', 'Every group'], ...groups.map((group) => [group.id, group.name] as const)]}
        />
        <Choice
          name="silent"
          label="Silence"
          options={[
            ['', 'Heard of or not'],
            ['true', 'Silent too long'],
          ]}
        />
      </Search>
      <DeviceFilter />
      <Loaded answer={answer}>
        {({ items, total, next }) =>
          items.length === 0 ? (
            <Empty title={filtered ? 'No device matches' : 'No devices yet'}>
              {filtered
                ? 'Change the search or choose every state.'
                : 'Make links on the Enrolment page, and open one on a phone.'}
            </Empty>
          ) : (
            <>
              <Rows items={items} pick={pick} />
              <Pager shown={items.length} total={total} next={next} what={['device', 'devices']} />
            </>
          )
        }
      </Loaded>
      {handles.length === 0 || !mayChange ? null : (
        <section className="bulk" aria-label="Selected devices">
          <strong>{handles.length} selected</strong>
          {(Object.keys(ACTS) as ActName[]).map((name) => (
            <button
              key={name}
              type="button"
              className={name === 'erase' ? 'danger' : undefined}
              onClick={() => setAct(name)}
            >
              {ACTS[name].label}
            </button>
          ))}
          <button
            type="button"
            className="danger"
            disabled={handles.length > MOST_RETIRED}
            onClick={() => setRetiring(true)}
          >
            Retire{handles.length > MOST_RETIRED ? ` (at most ${MOST_RETIRED})` : ''}
          </button>
          <button type="button" className="plain" onClick={pick.clear}>
            Clear
          </button>
        </section>
      )}
      {retiring ? (
        <RetireDialog
          devices={handles}
          personal={(answer.data?.items ?? []).some(
            (device) => pick.picked.has(device.handle) && device.ownership === 'personal',
          )}
          onClose={() => setRetiring(false)}
          onDone={answer.reload}
        />
      ) : null}
      {act === undefined ? null : (
        <ActDialog name={act} devices={handles} onClose={() => setAct(undefined)} onDone={answer.reload} />
      )}
    </Frame>
  );
}
