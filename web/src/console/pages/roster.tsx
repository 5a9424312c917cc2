import { useState } from 'react';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import { Chip, Empty, Frame, Loaded } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { AdminRow, type Wish } from './roster-admin.tsx';
import { type Roster, rosterApi } from './roster-api.ts';
import { AskRoster } from './roster-ask.tsx';
import { Invite } from './roster-invite.tsx';

const ROLES = ['administrator', 'analyst', 'dpo'];

const TITLE: Readonly<Record<Wish['act'], (wish: Wish) => string>> = {
  'add-key': ({ admin }) => `Give ${admin} a further passkey`,
  'remove-key': ({ admin }) => `Remove a passkey of ${admin}`,
  'remove-admin': ({ admin }) => `Remove ${admin}`,
  role: ({ admin }) => `Change the role of ${admin}`,
};

function Ask({ wish, needs, onClose }: { wish: Wish; needs: number; onClose: () => void }) {
  const [role, setRole] = useState(wish.act === 'role' ? (ROLES.find((one) => one !== wish.role) ?? '') : '');
  const change = (): object => {
    if (wish.act === 'remove-key') return { act: wish.act, key: wish.key };
    return wish.act === 'role' ? { ...wish, role } : wish;
  };
  return (
    <AskRoster title={TITLE[wish.act](wish)} change={change} needs={needs} onClose={onClose}>
      {wish.act === 'role' ? (
        <div className="field">
          <label htmlFor="roster-role">Role</label>
          <select id="roster-role" value={role} onChange={(event) => setRole(event.target.value)}>
            {ROLES.filter((one) => one !== wish.role).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </div>
      ) : null}
      {wish.act === 'remove-key' || wish.act === 'remove-admin' ? (
        <p className="note warn">
          It counts at once: sessions end, and what was signed with it and has not run is dead. If it cannot wait for{' '}
          {needs} people, lock it first: that takes one.
        </p>
      ) : null}
    </AskRoster>
  );
}

function Threshold({ roster, onClose }: { roster: Roster; onClose: () => void }) {
  const [threshold, setThreshold] = useState(String(roster.threshold + 1));
  return (
    <AskRoster
      title="How many people change the roster"
      change={() => ({ act: 'threshold', threshold: Number(threshold) })}
      needs={roster.threshold}
      onClose={onClose}
    >
      <div className="field">
        <label htmlFor="roster-threshold">
          People <span className="hint">2 to 7; one more than these must be able to sign</span>
        </label>
        <input
          id="roster-threshold"
          type="number"
          min={2}
          max={7}
          required
          value={threshold}
          onChange={(event) => setThreshold(event.target.value)}
        />
      </div>
    </AskRoster>
  );
}

function Findings({ roster }: { roster: Roster }) {
  if (roster.findings.length === 0) return null;
  return (
    <ul className="note warn stack">
      {roster.findings.map((finding) => (
        <li key={finding.title}>
          <strong>{finding.title}</strong> <span>{finding.fix}</span>
        </li>
      ))}
    </ul>
  );
}

export function RosterPage() {
  const answer = useAnswer('roster', rosterApi.roster);
  const approvals = useAnswer('approvals-roster', (signal) => api.approvals({ state: 'open' }, signal));
  const mayChange = useMayChange();
  const [wish, setWish] = useState<Wish>();
  const [open, setOpen] = useState<'invite' | 'threshold'>();
  const needs = answer.data?.threshold ?? 2;
  const close = () => {
    setWish(undefined);
    setOpen(undefined);
    answer.reload();
  };
  const waiting = (approvals.data?.items ?? []).filter(({ op }) => op === 'roster' || op === 'invite');
  return (
    <Frame
      title="Roster"
      aside={
        mayChange ? (
          <>
            <button type="button" onClick={() => setOpen('threshold')}>
              Change how many sign
            </button>
            <button type="button" className="primary" onClick={() => setOpen('invite')}>
              Invite an admin
            </button>
          </>
        ) : undefined
      }
    >
      <Loaded answer={answer}>
        {(roster) => (
          <>
            <p className="quiet">
              Who may sign, as both guards know it. Version {roster.version}; a change takes {roster.threshold} people
              of {roster.able.length} who can sign now.{' '}
              {roster.agree === null ? (
                <Chip tone="warn">the sealer does not answer</Chip>
              ) : roster.agree ? (
                <Chip tone="good">both guards agree</Chip>
              ) : (
                <Chip tone="bad">the guards differ</Chip>
              )}
            </p>
            <Findings roster={roster} />
            {waiting.length === 0 ? null : (
              <p className="note info">
                {waiting.length === 1 ? 'One change waits' : `${waiting.length} changes wait`} for signatures:{' '}
                {waiting.map(({ summary }) => summary).join('; ')}. <a href="/approvals">Sign</a>
              </p>
            )}
            {roster.admins.length === 0 ? (
              <Empty title="The guards know no passkey yet">Use the founding links that the first start printed.</Empty>
            ) : (
              <ul>
                {roster.admins.map((admin) => (
                  <AdminRow key={admin.admin} admin={admin} onWish={setWish} />
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
      {wish === undefined ? null : <Ask wish={wish} needs={needs} onClose={close} />}
      {open === 'invite' ? <Invite onClose={close} /> : null}
      {open === 'threshold' && answer.data !== undefined ? <Threshold roster={answer.data} onClose={close} /> : null}
    </Frame>
  );
}
