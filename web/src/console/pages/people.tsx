import { useState } from 'react';
import { DEFAULT_CAPS } from '../../../../src/seal/messages.ts';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import { useRows } from '../keys.ts';
import { Pager, Search, Tick, usePicked } from '../list.tsx';
import type { Person } from '../model.ts';
import { DeviceLink, Empty, Frame, GlassLink, Loaded, or } from '../parts.tsx';
import { useSearch } from '../router.ts';
import { useMayChange, useSession } from '../session.tsx';
import { WaitingChanges } from './people-changes.tsx';
import { PeopleExport } from './people-export.tsx';
import { LeaveDialog } from './people-leave.tsx';
import { LockRotation } from './people-locks.tsx';
import { PeopleSearch } from './people-search.tsx';

function Rows({ items, pick }: { items: readonly Person[]; pick: ReturnType<typeof usePicked> }) {
  const { body } = useRows(items.length, { select: (row) => pick.toggle((items[row] as Person).handle) });
  return (
    <div className="scroll">
      <table className="list">
        <thead>
          <tr>
            <th scope="col" className="tick">
              <span className="hidden-visually">Selected</span>
            </th>
            <th scope="col">Person</th>
            <th scope="col">Unit</th>
            <th scope="col">Member state</th>
            <th scope="col">Devices</th>
            <th scope="col">Sealed</th>
          </tr>
        </thead>
        <tbody ref={body}>
          {items.map((person) => (
            <tr key={person.handle} className={pick.picked.has(person.handle) ? 'picked' : undefined}>
              <td className="tick">
                <Tick
                  label={`Select ${person.handle}`}
                  checked={pick.picked.has(person.handle)}
                  onChange={() => pick.toggle(person.handle)}
                />
              </td>
              <th scope="row">
                <a className="mono" href={`/people/${person.handle}`}>
                  {person.handle}
                </a>
              </th>
              <td>{or(person.unit)}</td>
              <td>{or(person.memberState)}</td>
              <td>
                {person.devices.length === 0 ? (
                  <span className="quiet">none</span>
                ) : (
                  <span className="handle-list">
                    {person.devices.map((device) => (
                      <DeviceLink key={device} handle={device} />
                    ))}
                  </span>
                )}
              </td>
              <td className="nowrap">
                {person.leftAt === null ? null : <span className="chip warn">left, not erased</span>}{' '}
                {person.fields.length === 0 ? <span className="quiet">nothing yet</span> : person.fields.join(', ')}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function People() {
  const [search] = useSearch();
  const { glass, caps } = useSession();
  // the guards refuse more, whatever this page says
  const most = caps?.perTouch ?? DEFAULT_CAPS.perTouch;
  const filter = { q: search.get('q'), after: search.get('after'), limit: 100 };
  const answer = useAnswer(`people:${search}`, (signal) => api.people(filter, signal));
  const pick = usePicked();
  const handles = [...pick.picked].sort();
  const over = handles.length > most;
  const mayChange = useMayChange();
  const [leaving, setLeaving] = useState<readonly string[]>();
  return (
    <Frame title="People">
      <p className="quiet">
        Handles only. To read a name, number or e-mail address, select people: glass opens, you say why and touch your
        security key, and the log keeps it.
      </p>
      <p className="row">
        <GlassLink glass={glass} task="import">
          Import people
        </GlassLink>
        <PeopleExport />
      </p>
      <PeopleSearch />
      <WaitingChanges />
      <Search label="Search handle, unit, member state" />
      <Loaded answer={answer}>
        {({ items, total, next }) =>
          items.length === 0 ? (
            <Empty title={filter.q === null ? 'No people yet' : 'Nobody matches'}>
              {filter.q === null
                ? 'Import a staff list: it is sealed in your browser before anything is sent. Or let an identity provider push people (SCIM).'
                : 'Search by handle, unit or member state. Names are searched on glass, where that is switched on.'}
            </Empty>
          ) : (
            <>
              <Rows items={items} pick={pick} />
              <Pager shown={items.length} total={total} next={next} what={['person', 'people']} />
            </>
          )
        }
      </Loaded>
      <LockRotation />
      {handles.length === 0 ? null : (
        <section className="bulk" aria-label="Selected people">
          <strong>
            {handles.length} of at most {most} selected
          </strong>
          {over ? (
            <span className="field-error" role="status">
              Too many for one touch. Unselect {handles.length - most}.
            </span>
          ) : (
            <>
              <GlassLink glass={glass} task={`reveal=number&subjects=${handles.join(',')}`}>
                Reveal number
              </GlassLink>
              <GlassLink glass={glass} task={`reveal=name&subjects=${handles.join(',')}`}>
                Reveal name
              </GlassLink>
              <GlassLink glass={glass} task={`reveal=email&subjects=${handles.join(',')}`}>
                Reveal e-mail
              </GlassLink>
            </>
          )}
          <a className="button" href={`/messages?to=${handles.join(',')}`}>
            Message
          </a>
          <a className="button" href={`/enrolment?for=${handles.join(',')}`}>
            Make enrolment links
          </a>
          {mayChange ? (
            <button type="button" onClick={() => setLeaving(handles)}>
              They have left
            </button>
          ) : null}
          <button type="button" className="plain" onClick={pick.clear}>
            Clear
          </button>
        </section>
      )}
      {leaving === undefined ? null : <LeaveDialog handles={leaving} onClose={() => setLeaving(undefined)} />}
    </Frame>
  );
}
