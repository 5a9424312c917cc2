import { useEffect, useRef, useState } from 'react';
import { go } from './router.ts';

export const JUMPS: readonly (readonly [key: string, path: string, label: string])[] = [
  ['o', '/', 'Overview'],
  ['d', '/devices', 'Devices'],
  ['r', '/groups', 'Groups'],
  ['c', '/compliance', 'Compliance'],
  ['t', '/retirements', 'Retirements'],
  ['e', '/enrolment', 'Enrolment'],
  ['f', '/profiles', 'Profiles'],
  ['n', '/declarations', 'Declarations'],
  ['v', '/updates', 'Software updates (versions)'],
  ['b', '/apps', 'Apps'],
  ['u', '/rollouts', 'Rollouts'],
  ['q', '/queue', 'Queue'],
  ['p', '/people', 'People'],
  ['h', '/messages', 'Messages'],
  ['a', '/alerts', 'Alerts'],
  ['i', '/incidents', 'Incidents'],
  ['s', '/approvals', 'Approvals (to sign)'],
  ['l', '/locks', 'Locks'],
  ['w', '/push', 'Push (waking phones)'],
  ['m', '/admins', 'Roster (admins)'],
  ['k', '/limits', 'Limits'],
  ['x', '/break-glass', 'Break-glass'],
  ['y', '/keys', 'Keys'],
];

/** The pages under their headings, in the order in which the side shows them. */
export const SECTIONS: readonly (readonly [title: string, paths: readonly string[]])[] = [
  ['Overview', ['/']],
  ['Fleet', ['/devices', '/groups', '/compliance', '/retirements', '/enrolment']],
  ['Configuration', ['/profiles', '/declarations', '/updates', '/apps', '/rollouts', '/queue', '/push']],
  ['Directory', ['/people', '/messages']],
  ['Watch', ['/alerts', '/incidents']],
  ['Control', ['/approvals', '/locks', '/admins', '/limits', '/break-glass', '/keys']],
];

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest('input:not([type=checkbox]), textarea, select, dialog') !== null;

/** `g` then a letter jumps, `/` searches, `?` helps. Never while somebody types. */
export function useShortcuts(onHelp: () => void): void {
  const help = useRef(onHelp);
  help.current = onHelp;
  useEffect(() => {
    let g = 0;
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      const jump = Date.now() - g < 1500 ? JUMPS.find(([key]) => key === event.key) : undefined;
      g = 0;
      if (jump !== undefined) {
        event.preventDefault();
        go(jump[1]);
      } else if (event.key === 'g') g = Date.now();
      else if (event.key === '?') help.current();
      else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('input[type=search]');
        if (search !== null) {
          event.preventDefault();
          search.focus();
          search.select();
        }
      }
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

/** j/k move a row cursor, Enter opens, x selects. The cursor is a real focus on the row's link. */
export function useRows(count: number, act: { open?: (row: number) => void; select?: (row: number) => void }) {
  const [cursor, setCursor] = useState(-1);
  const body = useRef<HTMLTableSectionElement>(null);
  const acts = useRef(act);
  acts.current = act;
  const state = useRef({ cursor, count });
  state.current = { cursor: Math.min(cursor, count - 1), count };
  useEffect(() => {
    const move = (to: number) => {
      setCursor(to);
      const row = body.current?.rows[to];
      row?.querySelector<HTMLElement>('a, button')?.focus({ preventScroll: true });
      row?.scrollIntoView({ block: 'nearest' });
    };
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      const { cursor: at, count: rows } = state.current;
      if (rows === 0) return;
      if (event.key === 'j') move(Math.min(at + 1, rows - 1));
      else if (event.key === 'k') move(Math.max(at - 1, 0));
      else if (event.key === 'x' && at >= 0) acts.current.select?.(at);
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
  return { body, cursor: state.current.cursor };
}
