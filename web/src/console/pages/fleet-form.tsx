import type { ReactNode } from 'react';
import type { Act } from '../data.ts';
import { Dialog, Refused } from '../parts.tsx';
import type { Filter } from './fleet-api.ts';
import { type asDraft, FilterBuilder, FilterText, type useFields } from './fleet-filter.tsx';

interface Given {
  readonly title: string;
  readonly name: string;
  readonly onName: (name: string) => void;
  /** Undefined: a filter that rows cannot say; it is shown and kept. */
  readonly draft: ReturnType<typeof asDraft>;
  readonly onDraft: (draft: NonNullable<ReturnType<typeof asDraft>>) => void;
  readonly filter: Filter;
  readonly fields: ReturnType<typeof useFields>;
  readonly save: Act<[]>;
  readonly button: string;
  readonly onClose: () => void;
  /** Between the name and the filter. */
  readonly before?: ReactNode;
  /** Below the filter. */
  readonly children?: ReactNode;
}

/** Something that is named and asks something of devices: a group, a rule. */
export function FilterForm(given: Given) {
  const { draft, filter, fields, save } = given;
  return (
    <Dialog title={given.title} onClose={given.onClose}>
      <form
        className="stack wide"
        onSubmit={(event) => {
          event.preventDefault();
          void save.run();
        }}
      >
        <div className="field">
          <label htmlFor="filter-name">Name</label>
          <input
            id="filter-name"
            required
            maxLength={80}
            value={given.name}
            onChange={(event) => given.onName(event.target.value)}
          />
        </div>
        {given.before}
        {draft === undefined ? (
          <p className="note">{FilterText({ filter, fields })}</p>
        ) : (
          <FilterBuilder draft={draft} fields={fields} onChange={given.onDraft} />
        )}
        {given.children}
        <Refused problem={save.problem} />
        <div className="row">
          <button type="submit" className="primary" disabled={save.busy}>
            {given.button}
          </button>
          <button type="button" onClick={given.onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
