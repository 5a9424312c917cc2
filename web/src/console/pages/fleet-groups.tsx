import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { type Filter, fleetApi, type Group } from './fleet-api.ts';
import { asDraft, asFilter, emptyDraft, FilterPreview, FilterText, useFields } from './fleet-filter.tsx';
import { FilterForm } from './fleet-form.tsx';

/** Makes or changes a group. A filter that rows cannot say keeps its conditions; only the name changes then. */
export function GroupDialog({
  group,
  start,
  onClose,
  onDone,
}: {
  group?: Group;
  start?: Filter;
  onClose: () => void;
  onDone: () => void;
}) {
  const fields = useFields();
  const given = group?.filter ?? start;
  const [name, setName] = useState(group?.name ?? '');
  const [draft, setDraft] = useState(() => (given === undefined ? emptyDraft() : asDraft(given)));
  const filter = draft === undefined ? given! : asFilter(draft, fields);
  const save = useAct(async () => {
    await fleetApi.saveGroup(group?.id, { name: name.trim(), filter });
    onDone();
    onClose();
  });
  return (
    <FilterForm
      title={group === undefined ? 'New group' : `Change ${group.name}`}
      {...{ name, draft, filter, fields, save, onClose, onName: setName, onDraft: setDraft, button: 'Save group' }}
    >
      {fields.length === 0 ? null : <FilterPreview filter={filter} />}
    </FilterForm>
  );
}

function Delete({ group, onClose, onDone }: { group: Group; onClose: () => void; onDone: () => void }) {
  const act = useAct(async () => {
    await fleetApi.deleteGroup(group.id);
    onDone();
    onClose();
  });
  return (
    <Dialog title={`Delete ${group.name}`} onClose={onClose}>
      <p>
        Declarations, rules and rings that are scoped by this group reach nobody any more. No device is changed by it.
      </p>
      <Refused problem={act.problem} />
      <div className="row">
        <button type="button" className="danger" disabled={act.busy} onClick={() => act.run()}>
          Delete group
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

export function Groups() {
  const answer = useAnswer('groups', fleetApi.groups);
  const fields = useFields();
  const [open, setOpen] = useState<Group | 'new'>();
  const [gone, setGone] = useState<Group>();
  const mayChange = useMayChange();
  return (
    <Frame
      title="Groups"
      aside={
        mayChange ? (
          <button type="button" className="primary" onClick={() => setOpen('new')}>
            New group
          </button>
        ) : undefined
      }
    >
      <p className="quiet">
        A group is a saved filter. Devices come and go by themselves as their facts change; declarations, compliance
        rules and rings follow.
      </p>
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No groups yet">Make one here, or save a filter on the devices’ page.</Empty>
          ) : (
            <div className="scroll">
              <table className="list">
                <thead>
                  <tr>
                    <th scope="col">Group</th>
                    <th scope="col" className="number">
                      Devices
                    </th>
                    <th scope="col">Filter</th>
                    <th scope="col">Changed</th>
                    <th scope="col">
                      <span className="hidden-visually">Acts</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((group) => (
                    <tr key={group.id}>
                      <th scope="row">{group.name}</th>
                      <td className="number">
                        <a href={`/devices?group=${group.id}`}>{group.members}</a>{' '}
                        {group.inStep ? null : <Chip tone="info">filling</Chip>}
                      </td>
                      <td className="small wrap-anywhere">{FilterText({ filter: group.filter, fields })}</td>
                      <td>
                        <When at={group.changedAt} />
                      </td>
                      <td className="nowrap">
                        {mayChange ? (
                          <>
                            <button type="button" className="plain" onClick={() => setOpen(group)}>
                              Change
                            </button>
                            <button type="button" className="plain" onClick={() => setGone(group)}>
                              Delete
                            </button>
                          </>
                        ) : null}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Loaded>
      {open === undefined ? null : (
        <GroupDialog
          {...(open === 'new' ? {} : { group: open })}
          onClose={() => setOpen(undefined)}
          onDone={answer.reload}
        />
      )}
      {gone === undefined ? null : <Delete group={gone} onClose={() => setGone(undefined)} onDone={answer.reload} />}
    </Frame>
  );
}
