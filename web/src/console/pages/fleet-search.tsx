import { useState } from 'react';
import { useSearch } from '../router.ts';
import { useMayChange } from '../session.tsx';
import type { Filter } from './fleet-api.ts';
import { asDraft, asFilter, emptyDraft, FilterBuilder, FilterPreview, FilterText, useFields } from './fleet-filter.tsx';
import { GroupDialog } from './fleet-groups.tsx';

function fromAddress(text: string | null): Filter | undefined {
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Filter;
  } catch {
    return undefined;
  }
}

/** The filter of the list of devices: built with form controls, kept in the address, saved as a group. */
export function DeviceFilter() {
  const [search, change] = useSearch();
  const fields = useFields();
  const used = fromAddress(search.get('filter'));
  const [open, setOpen] = useState(false);
  const [draft, setDraft] = useState(() => (used === undefined ? undefined : asDraft(used)) ?? emptyDraft());
  const [saving, setSaving] = useState<Filter>();
  const mayChange = useMayChange();
  const filter = asFilter(draft, fields);
  return (
    <div className="stack">
      <div className="row">
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          Filter by facts
        </button>
        {used === undefined ? null : (
          <>
            <span className="small">{FilterText({ filter: used, fields })}</span>
            <button type="button" className="plain" onClick={() => change({ filter: null, after: null })}>
              Clear
            </button>
            {mayChange ? (
              <button type="button" className="plain" onClick={() => setSaving(used)}>
                Save as group
              </button>
            ) : null}
          </>
        )}
      </div>
      {open && fields.length > 0 ? (
        <div className="section stack">
          <FilterBuilder draft={draft} fields={fields} onChange={setDraft} />
          <FilterPreview filter={filter} />
          <div className="row">
            <button
              type="button"
              className="primary"
              onClick={() => {
                change({ filter: JSON.stringify(filter), after: null });
                setOpen(false);
              }}
            >
              Show these
            </button>
            {mayChange ? (
              <button type="button" onClick={() => setSaving(filter)}>
                Save as group
              </button>
            ) : null}
          </div>
        </div>
      ) : null}
      {saving === undefined ? null : (
        <GroupDialog start={saving} onClose={() => setSaving(undefined)} onDone={() => setOpen(false)} />
      )}
    </div>
  );
}
