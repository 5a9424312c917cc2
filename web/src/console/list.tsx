import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useSearch } from './router.ts';

/** Search field bound to `q` of the address; types freely, asks after a short rest. */
export function Search({ label, children }: { label: string; children?: ReactNode }) {
  const [search, change] = useSearch();
  const q = search.get('q') ?? '';
  const [text, setText] = useState(q);
  const sent = useRef(q);
  useEffect(() => {
    // the address changed by itself (Back, a link): the field follows
    if (q !== sent.current) {
      sent.current = q;
      setText(q);
    }
  }, [q]);
  const later = useRef<ReturnType<typeof setTimeout>>(undefined);
  return (
    <search className="toolbar">
      <input
        type="search"
        aria-label={label}
        placeholder={`${label}  ( / )`}
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          const next = event.target.value;
          setText(next);
          clearTimeout(later.current);
          later.current = setTimeout(() => {
            sent.current = next.trim();
            change({ q: next.trim(), after: null });
          }, 150);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur();
        }}
      />
      {children}
    </search>
  );
}

/** A choice bound to one member of the address. */
export function Choice({
  name,
  label,
  options,
}: {
  name: string;
  label: string;
  options: readonly (readonly [string, string])[];
}) {
  const [search, change] = useSearch();
  return (
    <select
      aria-label={label}
      value={search.get(name) ?? ''}
      onChange={(event) => change({ [name]: event.target.value, after: null })}
    >
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}

/** Says what part of the whole is shown, and goes on. Back is the browser's own. */
export function Pager({
  shown,
  total,
  next,
  what,
}: {
  shown: number;
  total: number;
  next: string | null;
  what: readonly [one: string, many: string];
}) {
  const [search] = useSearch();
  const place = (after: string | null) => {
    const to = new URLSearchParams(search);
    if (after === null) to.delete('after');
    else to.set('after', after);
    return `${location.pathname}${to.size === 0 ? '' : `?${to}`}`;
  };
  return (
    <div className="row apart">
      <span className="quiet" role="status">
        {shown >= total
          ? `${total} ${total === 1 ? what[0] : what[1]}`
          : `${shown} of ${total === 10_000 ? 'at least 10000' : total} ${what[1]} on this page`}
      </span>
      <span className="row">
        {search.has('after') ? (
          <a className="button" href={place(null)}>
            First page
          </a>
        ) : null}
        {next === null ? null : (
          <a className="button" href={place(next)}>
            Next page
          </a>
        )}
      </span>
    </div>
  );
}

/** Which rows are picked, by handle; survives paging and filters until cleared. */
export function usePicked() {
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const toggle = (handle: string) =>
    setPicked((before) => {
      const next = new Set(before);
      if (!next.delete(handle)) next.add(handle);
      return next;
    });
  const all = (handles: readonly string[], on: boolean) =>
    setPicked((before) => {
      const next = new Set(before);
      for (const handle of handles) {
        if (on) next.add(handle);
        else next.delete(handle);
      }
      return next;
    });
  return { picked, toggle, all, clear: () => setPicked(new Set()) };
}

export function Tick({ label, checked, onChange }: { label: string; checked: boolean; onChange: () => void }) {
  return (
    <label>
      <span className="hidden-visually">{label}</span>
      <input type="checkbox" checked={checked} onChange={onChange} />
    </label>
  );
}
