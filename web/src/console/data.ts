import { useCallback, useEffect, useRef, useState } from 'react';
import { asProblem, type Problem } from '../shared/problem.ts';

export interface Answer<T> {
  readonly data: T | undefined;
  readonly problem: Problem | undefined;
  /** When `data` was last true, milliseconds. */
  readonly at: number | undefined;
  readonly reload: () => void;
}

const REFRESH_MS = 5000;
const kept = new Map<string, { data: unknown; at: number }>();

/** Forgets every answer, at sign-out. */
export const forgetAnswers = (): void => kept.clear();

/**
 * Asks and keeps asking while the page is visible. Shows the last answer at once when a page is visited again, and keeps
 * it (with its age) when the server stops answering.
 */
export function useAnswer<T>(key: string, ask: (signal: AbortSignal) => Promise<T>): Answer<T> {
  const latest = useRef(ask);
  latest.current = ask;
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<{ key: string; problem: Problem }>();
  const [turn, setTurn] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `turn` asks again on demand
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      if (document.visibilityState === 'visible') {
        try {
          const data = await latest.current(stop.signal);
          if (stop.signal.aborted) return;
          kept.set(key, { data, at: Date.now() });
          setProblem(undefined);
          redraw((n) => n + 1);
        } catch (error) {
          if (stop.signal.aborted) return;
          setProblem({ key, problem: asProblem(error) });
        }
      }
      timer = setTimeout(run, REFRESH_MS);
    };
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, turn]);

  const found = kept.get(key);
  return {
    data: found?.data as T | undefined,
    problem: problem?.key === key ? problem.problem : undefined,
    at: found?.at,
    reload: useCallback(() => setTurn((n) => n + 1), []),
  };
}

export interface Act<A extends readonly unknown[]> {
  readonly run: (...args: A) => Promise<boolean>;
  readonly busy: boolean;
  readonly problem: Problem | undefined;
  readonly clear: () => void;
}

/** One act of the user: not twice at a time; a refusal stays on screen until the next try. */
export function useAct<A extends readonly unknown[]>(act: (...args: A) => Promise<unknown>): Act<A> {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const running = useRef(false);
  const run = async (...args: A): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setProblem(undefined);
    try {
      await act(...args);
      return true;
    } catch (error) {
      setProblem(asProblem(error));
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { run, busy, problem, clear: () => setProblem(undefined) };
}

/** A text that survives a reload, an error and a new sign-in in this tab; cleared when it was sent. */
export function useDraft(name: string, start = ''): readonly [string, (text: string) => void, () => void] {
  const place = `draft:${name}`;
  const [text, setText] = useState(() => sessionStorage.getItem(place) ?? start);
  return [
    text,
    (next) => {
      setText(next);
      sessionStorage.setItem(place, next);
    },
    () => {
      setText(start);
      sessionStorage.removeItem(place);
    },
  ];
}
