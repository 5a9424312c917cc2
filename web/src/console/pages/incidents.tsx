import { type FormEvent, useId, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { useRows } from '../keys.ts';
import type { Incident } from '../model.ts';
import { Chip, Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { go } from '../router.ts';

export const IncidentStatus = ({ status }: { status: Incident['status'] }) => (
  <Chip tone={status === 'open' ? 'bad' : status === 'contained' ? 'warn' : 'quiet'}>{status}</Chip>
);

function Open({ onClose }: { onClose: () => void }) {
  const [title, setTitle, clear] = useDraft('incident-title');
  const [hours, setHours] = useState('24');
  const [principal, setPrincipal] = useState('');
  const id = useId();
  const open = useAct(async () => {
    const windowFrom = new Date(Date.now() - Number(hours) * 3_600_000).toISOString();
    const made = await api.openIncident({ title: title.trim(), windowFrom, principal: principal.trim() || null });
    clear();
    go(`/incidents/${made.id}`);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void open.run();
  };
  return (
    <Dialog title="Open an incident" onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}t`}>
            Title <span className="hint">without names or numbers</span>
          </label>
          <input
            id={`${id}t`}
            required
            minLength={3}
            maxLength={200}
            value={title}
            onChange={(event) => setTitle(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}w`}>Acts in question since</label>
          <select id={`${id}w`} value={hours} onChange={(event) => setHours(event.target.value)}>
            <option value="1">1 hour ago</option>
            <option value="24">1 day ago</option>
            <option value="168">7 days ago</option>
            <option value="720">30 days ago</option>
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}p`}>
            Whose acts? <span className="hint">an admin’s handle; empty means everybody’s</span>
          </label>
          <input
            id={`${id}p`}
            className="mono"
            value={principal}
            onChange={(event) => setPrincipal(event.target.value)}
          />
        </div>
        <Refused problem={open.problem} />
        <div className="row">
          <button type="submit" className="primary" disabled={open.busy}>
            Open the incident
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Rows({ items }: { items: readonly Incident[] }) {
  const { body } = useRows(items.length, {});
  return (
    <div className="scroll">
      <table className="list">
        <thead>
          <tr>
            <th scope="col">Incident</th>
            <th scope="col">Status</th>
            <th scope="col">About</th>
            <th scope="col">T0</th>
            <th scope="col">Opened</th>
          </tr>
        </thead>
        <tbody ref={body}>
          {items.map((incident) => (
            <tr key={incident.id}>
              <th scope="row">
                <a href={`/incidents/${incident.id}`}>{incident.title}</a>
              </th>
              <td>
                <IncidentStatus status={incident.status} />
              </td>
              <td className="mono">{incident.principal ?? 'everybody'}</td>
              <td>
                <When at={incident.t0} none="not confirmed" />
              </td>
              <td>
                <When at={incident.openedAt} /> by <span className="mono">{incident.openedBy}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Incidents() {
  const answer = useAnswer('incidents', api.incidents);
  const [opening, setOpening] = useState(false);
  return (
    <Frame
      title="Incidents"
      aside={
        <button type="button" onClick={() => setOpening(true)}>
          Open an incident
        </button>
      }
    >
      <Loaded answer={answer}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No incidents">
              Open one from an alert, or here when you learn of something in another way. The clock runs from the moment
              you confirm.
            </Empty>
          ) : (
            <Rows items={items} />
          )
        }
      </Loaded>
      {opening ? <Open onClose={() => setOpening(false)} /> : null}
    </Frame>
  );
}
