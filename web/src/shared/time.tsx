import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    // Nobody kept the time while nobody looked.
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const each of listeners) each();
    }, 1000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && timer !== undefined) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Milliseconds since the epoch, ticking once a second for the whole page. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now);

/** `3 min`, `2 h 05 min`, `4 d`: the two largest units at most. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min`;
  const h = Math.floor(m / 60);
  if (h < 24) return m % 60 === 0 ? `${h} h` : `${h} h ${String(m % 60).padStart(2, '0')} min`;
  const d = Math.floor(h / 24);
  return d < 14 && h % 24 !== 0 ? `${d} d ${h % 24} h` : `${d} d`;
}

/** A measured duration: `0.8 s` while tenths matter, then as `span`. */
export const duration = (ms: number): string => (ms < 10_000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : span(ms));

/** `2026-11-24 03:12:45 UTC`. */
export const utc = (at: number | string): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** Relative time, exact UTC on hover and for assistive technology that reads titles. Null is said as unknown. */
export function When({ at, none = 'never' }: { at: string | number | null | undefined; none?: string }) {
  const current = useNow();
  if (at === null || at === undefined) return <span className="quiet">{none}</span>;
  const ms = typeof at === 'number' ? at : Date.parse(at);
  if (!Number.isFinite(ms)) return <span className="quiet">unknown</span>;
  const ago = current - ms;
  const text = Math.abs(ago) < 5000 ? 'now' : ago > 0 ? `${span(ago)} ago` : `in ${span(-ago)}`;
  return (
    <time className="nowrap" dateTime={new Date(ms).toISOString()} title={utc(ms)}>
      {text}
    </time>
  );
}
