import { type FormEvent, useId, useState } from 'react';
import { useNow, utc, When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { ExposurePanel } from '../exposure.tsx';
import type { Incident, IncidentDetail } from '../model.ts';
import { Dialog, Empty, Frame, LevelChip, Loaded, Refused } from '../parts.tsx';
import { IncidentStatus } from './incidents.tsx';

const two = (n: number) => String(n).padStart(2, '0');

/** `3 d 04:05:09` since a moment; stands still at `end`. */
function elapsed(from: string, end: number): string {
  const s = Math.max(0, Math.floor((end - Date.parse(from)) / 1000));
  const days = Math.floor(s / 86_400);
  const clock = `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return days === 0 ? clock : `${days} d ${clock}`;
}

function Clock({ incident, onConfirm }: { incident: Incident; onConfirm: () => void }) {
  const now = useNow();
  const end = incident.closedAt === null ? now : Date.parse(incident.closedAt);
  const since = incident.t0 ?? incident.openedAt;
  return (
    <section className="clock" aria-label="Clock">
      <div>
        <span className="quiet">{incident.t0 === null ? 'Provisionally, since opened' : 'Since T0'}</span>
        <strong role="timer">{elapsed(since, end)}</strong>
      </div>
      <div>
        <span className="quiet">72 hours end</span>
        <div>
          <When at={Date.parse(since) + 72 * 3_600_000} />
        </div>
        <span className="small quiet">{utc(Date.parse(since) + 72 * 3_600_000)}</span>
      </div>
      <div>
        <span className="quiet">T0, when the organisation became aware</span>
        {incident.t0 === null ? (
          <div className="row">
            not confirmed
            {incident.status === 'closed' ? null : (
              <button type="button" onClick={onConfirm}>
                Confirm T0
              </button>
            )}
          </div>
        ) : (
          <div>
            {utc(incident.t0)} by <span className="mono">{incident.t0By}</span>
            <br />
            <span className="small quiet">“{incident.t0Reason}”</span>
          </div>
        )}
      </div>
    </section>
  );
}

function ConfirmT0({ incident, onClose, onDone }: { incident: Incident; onClose: () => void; onDone: () => void }) {
  const id = useId();
  const [at, setAt] = useState(incident.openedAt.slice(0, 19));
  const [reason, setReason, clear] = useDraft(`t0:${incident.id}`);
  const confirm = useAct(async () => {
    await api.confirmT0(incident.id, { t0: new Date(`${at}Z`).toISOString(), reason: reason.trim() });
    clear();
    onDone();
    onClose();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void confirm.run();
  };
  return (
    <Dialog title="Confirm T0" onClose={onClose}>
      <p>The legal clocks start at this moment. It can be confirmed once; later knowledge goes into notes.</p>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}a`}>
            The organisation became aware at <span className="hint">UTC</span>
          </label>
          <input
            id={`${id}a`}
            type="datetime-local"
            step="1"
            required
            value={at}
            onChange={(event) => setAt(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}r`}>
            Why this moment? <span className="hint">5 to 500 characters</span>
          </label>
          <textarea
            id={`${id}r`}
            required
            minLength={5}
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        </div>
        <Refused problem={confirm.problem} />
        <div className="row">
          <button type="submit" className="primary" disabled={confirm.busy}>
            Confirm
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Notes({ data, onDone }: { data: IncidentDetail; onDone: () => void }) {
  const id = useId();
  const [text, setText, clear] = useDraft(`note:${data.incident.id}`);
  const add = useAct(async () => {
    await api.addNote(data.incident.id, text.trim());
    clear();
    onDone();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void add.run();
  };
  return (
    <section className="section">
      <h2>Notes</h2>
      {data.notes.length === 0 ? <p className="quiet">No notes yet. Write down what was decided, and why.</p> : null}
      <ul className="notes">
        {data.notes.map((note) => (
          <li key={note.id}>
            <span className="small quiet">
              <span className="mono">{note.author}</span> <When at={note.at} />
            </span>
            <br />
            {note.text}
          </li>
        ))}
      </ul>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={id}>
            New note <span className="hint">handles only; a note is never changed</span>
          </label>
          <textarea id={id} required maxLength={4000} value={text} onChange={(event) => setText(event.target.value)} />
        </div>
        <Refused problem={add.problem} />
        <div>
          <button type="submit" disabled={add.busy || text.trim() === ''}>
            Add the note
          </button>
        </div>
      </form>
    </section>
  );
}

export function IncidentPage({ id }: { id: string }) {
  const answer = useAnswer(`incident:${id}`, (signal) => api.incident(id, signal));
  const [confirming, setConfirming] = useState(false);
  const mark = useAct(async (status: 'contained' | 'closed') => {
    await api.setStatus(id, status);
    answer.reload();
  });
  const incident = answer.data?.incident;
  return (
    <Frame
      title={incident?.title ?? 'Incident'}
      aside={
        incident === undefined || incident.status === 'closed' ? undefined : (
          <>
            {incident.status === 'open' ? (
              <button type="button" disabled={mark.busy} onClick={() => mark.run('contained')}>
                Mark as contained
              </button>
            ) : null}
            <button type="button" disabled={mark.busy} onClick={() => mark.run('closed')}>
              Close
            </button>
          </>
        )
      }
    >
      <Refused problem={mark.problem} />
      <Loaded answer={answer}>
        {(data) => (
          <>
            <p>
              <IncidentStatus status={data.incident.status} /> opened <When at={data.incident.openedAt} /> by{' '}
              <span className="mono">{data.incident.openedBy}</span>, about acts of{' '}
              <span className="mono">{data.incident.principal ?? 'everybody'}</span> since{' '}
              {utc(data.incident.windowFrom)}
              {data.incident.windowTo === null ? '' : ` until ${utc(data.incident.windowTo)}`}.
            </p>
            <Clock incident={data.incident} onConfirm={() => setConfirming(true)} />
            <ExposurePanel incident={id} reports={data.exposures} onMade={answer.reload} />
            <div className="halves">
              <section className="section">
                <h2>Alerts</h2>
                {data.alerts.length === 0 ? (
                  <Empty title="No alert is linked">Open an alert and link it here.</Empty>
                ) : (
                  <ul>
                    {data.alerts.map((alert) => (
                      <li key={alert.id} className="command">
                        <div className="row">
                          <a href={`/alerts/${alert.id}`}>{alert.title}</a> <LevelChip level={alert.level} />{' '}
                          <When at={alert.createdAt} />
                        </div>
                      </li>
                    ))}
                  </ul>
                )}
              </section>
              <Notes data={data} onDone={answer.reload} />
            </div>
            {confirming ? (
              <ConfirmT0 incident={data.incident} onClose={() => setConfirming(false)} onDone={answer.reload} />
            ) : null}
          </>
        )}
      </Loaded>
    </Frame>
  );
}
