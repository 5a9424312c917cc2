import type { QuorumCap, RosterAct, RosterChange } from '../../../src/seal/roster.ts';
import { CapTable } from './cap-table.tsx';

export const CAP_WORDS: Readonly<Record<QuorumCap, string>> = {
  perTouch: 'people in one touch',
  perDay: 'numbers a day and admin',
  namesPerDay: 'names a day and admin',
  emailsPerDay: 'e-mail addresses a day and admin',
  secretsPerDay: 'secrets of devices a day and admin',
  orgPerDay: 'values a day for all, before a second person signs',
  people: 'people in the organisation',
  destroyPerHour: 'devices erased an hour',
  destroyPerDay: 'devices erased a day',
};

export function rosterHeading(change: RosterAct): string {
  switch (change.act) {
    case 'add-key':
      return `Give ${change.admin} a further passkey`;
    case 'remove-key':
      return 'Remove a passkey';
    case 'remove-admin':
      return `Remove ${change.admin}`;
    case 'role':
      return `Make ${change.admin} ${change.role}`;
    case 'threshold':
      return `Let ${change.threshold} people change the roster`;
    case 'caps':
      return 'Change the limits';
    case 'break-glass':
      return 'Register sealed keys and custodians';
    case 'review':
      return `Review an opening: ${change.verdict}`;
    default:
      return change satisfies never;
  }
}

export function rosterEffect(change: RosterAct): string {
  switch (change.act) {
    case 'add-key':
      return 'Whoever opens the link first adds a passkey for this admin. Check with them that they asked for it.';
    case 'remove-key':
    case 'remove-admin':
      return 'It counts at once: sessions end, and what was signed with it and has not run yet is dead.';
    case 'role':
      return 'It counts at once. Who becomes an administrator signs for others after 72 hours.';
    case 'threshold':
      return 'From then on so many people sign each change of the roster and of the limits.';
    case 'caps':
      return 'What goes down counts at once. What goes up waits 24 hours, and any administrator can stop it until then.';
    case 'break-glass':
      return 'Five one-time links make two sealed keys and three custodians’ passkeys. Earlier ones are dead at once.';
    case 'review':
      return 'Your judgement of that opening is kept in the log for good.';
    default:
      return change satisfies never;
  }
}

/** What exactly is signed of a change, as this origin read it. */
export function RosterParticulars({ document }: { document: RosterChange }) {
  const { change } = document;
  return (
    <>
      <dt>Roster</dt>
      <dd>version {document.roster}; a change in between makes this void</dd>
      {change.act === 'remove-key' ? (
        <>
          <dt>Passkey</dt>
          <dd className="mono wrap-anywhere">{change.credential}</dd>
        </>
      ) : null}
      {change.act === 'review' ? (
        <>
          <dt>Opening</dt>
          <dd className="mono">{change.opening}</dd>
        </>
      ) : null}
      {change.act === 'caps' ? (
        <>
          <dt>Limits</dt>
          <dd>
            <CapTable caps={change.caps} words={CAP_WORDS} />
          </dd>
        </>
      ) : null}
    </>
  );
}
