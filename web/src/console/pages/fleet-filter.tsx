import { useEffect, useState } from 'react';
import { asProblem } from '../../shared/problem.ts';
import { useAnswer } from '../data.ts';
import { type Condition, type FieldInfo, type Filter, fleetApi } from './fleet-api.ts';

/** A row of the builder. `id` is for the screen only. */
interface Row {
  readonly id: number;
  readonly field: string;
  readonly op: string;
  readonly value: string;
}
export interface Draft {
  readonly mode: 'all' | 'any';
  readonly rows: readonly Row[];
}

let counter = 0;
const row = (field: string, op: string, value: string): Row => {
  counter += 1;
  return { id: counter, field, op, value };
};
export const emptyDraft = (): Draft => ({ mode: 'all', rows: [row('state', 'is', 'enrolled')] });

/** A filter as rows, if rows can say it: one level of `all` or `any`. */
export function asDraft(filter: Filter): Draft | undefined {
  const flat = (parts: readonly Filter[]): Row[] | undefined => {
    const rows: Row[] = [];
    for (const part of parts) {
      if (!('field' in part)) return undefined;
      const { value } = part;
      rows.push(row(part.field, part.op, Array.isArray(value) ? value.join(', ') : String(value ?? '')));
    }
    return rows;
  };
  const mode = 'any' in filter ? 'any' : 'all';
  const rows = flat('all' in filter ? filter.all : 'any' in filter ? filter.any : [filter]);
  return rows === undefined ? undefined : { mode, rows };
}

export function asFilter(draft: Draft, fields: readonly FieldInfo[]): Filter {
  const parts = draft.rows.map(({ field, op, value }): Condition => {
    const needs = needsOf(fields, field, op);
    if (needs === 'none') return { field, op };
    if (needs === 'yes-no') return { field, op, value: value !== 'false' };
    if (needs === 'texts')
      return {
        field,
        op,
        value: value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      };
    return { field, op, value: value.trim() };
  });
  return draft.mode === 'all' ? { all: parts } : { any: parts };
}

const infoOf = (fields: readonly FieldInfo[], field: string) => fields.find((one) => one.id === field);
const needsOf = (fields: readonly FieldInfo[], field: string, op: string): string =>
  infoOf(fields, field)?.ops.find((one) => one.op === op)?.value ?? 'text';

const OP: Readonly<Record<string, string>> = {
  'one-of': 'is one of',
  'is-not': 'is not',
  starts: 'starts with',
  'at-least': 'is at least',
  'at-most': 'is at most',
  above: 'is above',
  below: 'is below',
  within: 'within the last',
  older: 'longer ago than',
  lasts: 'lasts at least',
  ends: 'ends within',
  known: 'is known',
  unknown: 'is not known',
};
export const opWord = (op: string, type?: string): string =>
  type === 'presence' ? (op === 'known' ? 'is set' : 'is not set') : (OP[op] ?? op.replaceAll('-', ' '));

const HINT: Readonly<Record<string, string>> = { version: '18.1', span: '30d or 12h', texts: 'A, B, C', text: '' };

/** A filter in words, for lists. */
export function FilterText({ filter, fields }: { filter: Filter; fields: readonly FieldInfo[] }): string {
  if ('all' in filter) return filter.all.map((part) => inner(part, fields)).join(' and ');
  if ('any' in filter) return filter.any.map((part) => inner(part, fields)).join(' or ');
  if ('not' in filter) return `not ${inner(filter.not, fields)}`;
  const info = infoOf(fields, filter.field);
  const { value } = filter;
  const said =
    value === true ? 'yes' : value === false ? 'no' : Array.isArray(value) ? value.join(', ') : (value ?? '');
  return `${info?.label ?? filter.field} ${opWord(filter.op, info?.type)} ${said}`.trim();
}
const inner = (part: Filter, fields: readonly FieldInfo[]): string =>
  'field' in part ? FilterText({ filter: part, fields }) : `(${FilterText({ filter: part, fields })})`;

/** The facts that can be asked about; asked once. */
export function useFields(): readonly FieldInfo[] {
  return useAnswer('fields', fleetApi.fields).data?.fields ?? [];
}

function Value({
  row: one,
  info,
  onChange,
}: {
  row: Row;
  info: FieldInfo | undefined;
  onChange: (value: string) => void;
}) {
  const needs = info?.ops.find(({ op }) => op === one.op)?.value ?? 'text';
  if (needs === 'none') return null;
  const label = `Value for ${info?.label ?? one.field}`;
  const options =
    needs === 'yes-no'
      ? ([
          ['true', 'yes'],
          ['false', 'no'],
        ] as const)
      : info?.choices != null && needs === 'text'
        ? info.choices.map((choice) => [choice, choice.replaceAll('_', ' ')] as const)
        : undefined;
  if (options !== undefined)
    return (
      <select aria-label={label} value={one.value} onChange={(event) => onChange(event.target.value)}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    );
  return (
    <input
      aria-label={label}
      placeholder={HINT[needs]}
      value={one.value}
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** Builds a filter with form controls: rows that must all, or any of which must, be true. */
export function FilterBuilder({
  draft,
  fields,
  onChange,
}: {
  draft: Draft;
  fields: readonly FieldInfo[];
  onChange: (draft: Draft) => void;
}) {
  const start = (field: string, op?: string): Row => {
    const info = infoOf(fields, field);
    const usual = op ?? (info?.type === 'version' ? 'at-least' : undefined);
    const first = info?.ops.find((one) => one.op === usual) ?? info?.ops[0];
    const value = first?.value === 'yes-no' ? 'true' : (info?.choices?.[0] ?? '');
    return row(field, first?.op ?? 'is', first?.value === 'text' || first?.value === 'yes-no' ? value : '');
  };
  const replace = (id: number, next: Row) =>
    onChange({ ...draft, rows: draft.rows.map((one) => (one.id === id ? { ...next, id } : one)) });
  return (
    <fieldset className="builder">
      <legend className="row">
        <span>Devices for which</span>
        <select
          aria-label="How the conditions combine"
          value={draft.mode}
          onChange={(event) => onChange({ ...draft, mode: event.target.value as Draft['mode'] })}
        >
          <option value="all">all of these are true</option>
          <option value="any">any of these is true</option>
        </select>
      </legend>
      {draft.rows.map((one) => {
        const info = infoOf(fields, one.field);
        return (
          <div key={one.id} className="builder-row">
            <select
              aria-label="Fact"
              value={one.field}
              onChange={(event) => replace(one.id, start(event.target.value))}
            >
              {fields.map((field) => (
                <option key={field.id} value={field.id}>
                  {field.label}
                </option>
              ))}
            </select>
            <select
              aria-label={`Comparison for ${info?.label ?? one.field}`}
              value={one.op}
              onChange={(event) => {
                const op = event.target.value;
                const same = needsOf(fields, one.field, op) === needsOf(fields, one.field, one.op);
                replace(one.id, same ? { ...one, op } : start(one.field, op));
              }}
            >
              {info?.ops.map(({ op }) => (
                <option key={op} value={op}>
                  {opWord(op, info.type)}
                </option>
              ))}
            </select>
            <Value row={one} info={info} onChange={(value) => replace(one.id, { ...one, value })} />
            <button
              type="button"
              className="plain"
              disabled={draft.rows.length === 1}
              aria-label={`Remove the condition on ${info?.label ?? one.field}`}
              onClick={() => onChange({ ...draft, rows: draft.rows.filter((other) => other.id !== one.id) })}
            >
              Remove
            </button>
          </div>
        );
      })}
      <div>
        <button type="button" onClick={() => onChange({ ...draft, rows: [...draft.rows, start('os')] })}>
          Add a condition
        </button>
      </div>
    </fieldset>
  );
}

/** Who fits a filter now, asked again shortly after each change. */
export function FilterPreview({ filter }: { filter: Filter }) {
  const [found, setFound] = useState<{ count: number; sample: readonly string[] }>();
  const [wrong, setWrong] = useState<string>();
  const text = JSON.stringify(filter);
  useEffect(() => {
    let stopped = false;
    const timer = setTimeout(async () => {
      try {
        const answer = await fleetApi.preview(JSON.parse(text) as Filter);
        if (!stopped) {
          setFound(answer);
          setWrong(undefined);
        }
      } catch (error) {
        if (!stopped) setWrong(asProblem(error).message);
      }
    }, 300);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [text]);
  return (
    <p className="small" role="status">
      {wrong !== undefined ? (
        <span className="field-error">{wrong}</span>
      ) : found === undefined ? (
        <span className="quiet">Counting</span>
      ) : (
        <>
          <strong>
            {found.count} {found.count === 1 ? 'device fits' : 'devices fit'} now.
          </strong>{' '}
          <span className="mono quiet">
            {found.sample.join(' ')}
            {found.count > found.sample.length ? ' …' : ''}
          </span>
        </>
      )}
    </p>
  );
}
