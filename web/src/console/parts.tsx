import { type ReactNode, useEffect, useRef } from 'react';
import type { Problem } from '../shared/problem.ts';
import { When } from '../shared/time.tsx';
import type { Answer } from './data.ts';
import type { Alert, DeviceState, EventRow } from './model.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'quiet';

export const Chip = ({ tone, children }: { tone: Tone; children: ReactNode }) => (
  <span className={`chip ${tone}`}>{children}</span>
);

export const Unknown = () => <span className="quiet">unknown</span>;

export const or = (value: ReactNode): ReactNode =>
  value === null || value === undefined || value === '' ? <Unknown /> : value;

const STATE: Readonly<Record<DeviceState, [Tone, string]>> = {
  offered: ['quiet', 'invited'],
  certified: ['info', 'certified'],
  authenticated: ['info', 'enrolling'],
  enrolled: ['good', 'enrolled'],
  checked_out: ['warn', 'left'],
  retired: ['quiet', 'retired'],
};
export const stateWord = (state: DeviceState): string => STATE[state][1];
export const StateChip = ({ state }: { state: DeviceState }) => <Chip tone={STATE[state][0]}>{STATE[state][1]}</Chip>;

const LEVEL: Readonly<Record<Alert['level'], Tone>> = {
  informational: 'quiet',
  low: 'info',
  medium: 'warn',
  high: 'bad',
  critical: 'bad',
};
export const LevelChip = ({ level }: { level: Alert['level'] }) => <Chip tone={LEVEL[level]}>{level}</Chip>;

const COMMAND: Readonly<Record<string, Tone>> = {
  acknowledged: 'good',
  queued: 'quiet',
  delivered: 'info',
  not_now: 'warn',
  cancelled: 'quiet',
  'awaiting-approval': 'warn',
  ready: 'info',
  dispatched: 'info',
};
export const CommandChip = ({ state }: { state: string }) => (
  <Chip tone={COMMAND[state] ?? 'bad'}>{state.replace(/[_-]/g, ' ')}</Chip>
);

export function DeviceLink({ handle }: { handle: string }) {
  return (
    <a className="mono" href={`/devices/${handle}`}>
      {handle}
    </a>
  );
}

export function PersonLink({ handle }: { handle: string | null }) {
  if (handle === null) return <span className="quiet">nobody</span>;
  return (
    <a className="mono" href={`/people/${handle}`}>
      {handle}
    </a>
  );
}

/** Title, what stands beside it, and then the page. Sets the window's title and takes the focus on arrival. */
export function Frame({
  title,
  mono,
  aside,
  children,
}: {
  title: string;
  mono?: boolean;
  aside?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Bartizan`;
  }, [title]);
  return (
    <div className="page stack">
      <div className="row apart head">
        <h1 ref={heading} className={mono === true ? 'mono' : undefined}>
          {title}
        </h1>
        {aside === undefined ? null : <div className="row">{aside}</div>}
      </div>
      {children}
    </div>
  );
}

export function Refused({ problem }: { problem: Problem | undefined }) {
  return (
    <div role="alert">
      {problem === undefined ? null : (
        <div className="note bad">
          <strong>That was not done.</strong> {problem.message}
          {problem.instance === undefined ? null : <span className="quiet small"> Quote {problem.instance}.</span>}
        </div>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  );
}

/** Shows an answer, or says why there is none; an old answer is shown with its age. */
export function Loaded<T>({ answer, children }: { answer: Answer<T>; children: (data: T) => ReactNode }) {
  const { data, problem, at } = answer;
  if (data === undefined) {
    if (problem === undefined) return <p className="loading quiet">Loading</p>;
    return (
      <div className="note warn" role="alert">
        <strong>{problem.status === 404 ? 'This does not exist.' : 'This cannot be shown now.'}</strong>{' '}
        {problem.message}
        {problem.status === 404 ? null : (
          <p>
            <button type="button" onClick={answer.reload}>
              Try again
            </button>
          </p>
        )}
      </div>
    );
  }
  return (
    <>
      {problem === undefined ? null : (
        <div className="note warn" role="status">
          <strong>
            What you see is from <When at={at} />.
          </strong>{' '}
          {problem.message} It is asked for again every few seconds.
        </div>
      )}
      {children(data)}
    </>
  );
}

/** A modal over the native element: focus stays inside, Escape closes. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div className="stack">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** Links that leave for glass: a new window that cannot reach back. */
export function GlassLink({
  glass,
  task,
  primary,
  children,
}: {
  glass: string;
  task: string;
  primary?: boolean;
  children: ReactNode;
}) {
  return (
    <a
      className={primary === true ? 'button primary' : 'button'}
      href={`${glass}/#${task}`}
      target="_blank"
      rel="noopener noreferrer"
    >
      {children}
      <span aria-hidden="true">↗</span>
      <span className="hidden-visually">(opens glass in a new window)</span>
    </a>
  );
}

const brief = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

export function Details({ detail }: { detail: Readonly<Record<string, unknown>> }) {
  const members = Object.entries(detail).filter(([key, value]) => key !== 'kind' && key !== 'source' && value !== '');
  if (members.length === 0) return null;
  return (
    <span className="details small wrap-anywhere">
      {members.map(([key, value]) => (
        <span key={key}>
          <span className="quiet">{key.replaceAll('_', ' ')}</span> <span className="mono">{brief(value)}</span>
        </span>
      ))}
    </span>
  );
}

/** Events as a list, newest first, each with its leaf in the transparency log or the word that it has none yet. */
export function Events({ events, device }: { events: readonly EventRow[]; device?: boolean }) {
  if (events.length === 0) return <Empty title="No events yet" />;
  return (
    <ol className="timeline">
      {events.map((event) => (
        <li key={event.uid}>
          <When at={event.time} />
          <div>
            <span className="event-kind">{event.kind}</span>{' '}
            {event.actor === null ? null : (
              <span>
                by <span className="mono">{event.actor}</span>{' '}
              </span>
            )}
            {device === true && event.device !== null ? <DeviceLink handle={event.device} /> : null}
            <Details detail={(event.body['unmapped'] ?? {}) as Readonly<Record<string, unknown>>} />
          </div>
          <span className="quiet small nowrap">
            {event.leaf === null ? 'not in the log yet' : `leaf ${event.leaf}`}
          </span>
        </li>
      ))}
    </ol>
  );
}
