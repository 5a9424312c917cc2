import { type MouseEvent, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
const tell = () => {
  for (const each of listeners) each();
};
addEventListener('popstate', tell);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Path and query of the page: every view is an address. */
export const usePlace = (): string => useSyncExternalStore(subscribe, () => location.pathname + location.search);

/** Goes to a path of this app. `replace` for filters, so that Back leaves the list and not one letter. */
export function go(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  history[options.replace === true ? 'replaceState' : 'pushState'](null, '', to);
  tell();
}

/** Lets plain clicks on same-app links move without a reload. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/api/') || link.hash !== '') return;
  event.preventDefault();
  go(link.pathname + link.search);
}

/** Reads and changes members of the query string of the current page. */
export function useSearch(): readonly [URLSearchParams, (changes: Readonly<Record<string, string | null>>) => void] {
  usePlace();
  const search = new URLSearchParams(location.search);
  return [
    search,
    (changes) => {
      const next = new URLSearchParams(location.search);
      for (const [key, value] of Object.entries(changes)) {
        if (value === null || value === '') next.delete(key);
        else next.set(key, value);
      }
      go(`${location.pathname}${next.size === 0 ? '' : `?${next}`}`, { replace: true });
    },
  ];
}
