import * as z from 'zod';
import { headingOf } from '#fleet';
import { type Approval, askInvite, askLock, askUnlock, listApprovals, listLocks } from '#respond';
import { type Approvable, EVERY_DEVICE, LOCK_SCOPES, ROLES, type RosterKey, TEMPLATES } from '#seal';
import { tx } from '#store';
import { admin, page, purpose, route, uuid } from '../route.ts';
import { askLedgerRoster } from './roster.ts';
import { rosterSummary } from './roster-words.ts';

const STATES = ['open', 'executing', 'executed', 'refused', 'expired', 'cancelled'] as const;

const UNLOCKED = {
  directory: 'the directory',
  commands: 'the command lane',
  role: 'a role',
  credential: 'a passkey',
  document: 'a request',
};

const counted = (n: number, what: string, many = `${what}s`): string => `${n} ${n === 1 ? what : many}`;

function devicesOf(document: Approvable): readonly string[] {
  if (document.op === 'command') return document.commands.map(({ device }) => device);
  return document.op === 'declare' && document.devices !== EVERY_DEVICE ? document.devices : [];
}

/** One sentence for people; what is signed is the document on glass, not this. */
function summary({ document }: Approval): string {
  switch (document.op) {
    case 'command':
      return headingOf(document.verb, document.commands.length);
    case 'declare': {
      const { declarations, devices } = document;
      const whom = devices === EVERY_DEVICE ? 'every device' : counted(devices.length, 'device');
      return `Give ${counted(declarations.length, 'dangerous declaration')} to ${whom}`;
    }
    case 'rotate-locks':
      return 'Give everybody in the directory a new lock';
    case 'unlock':
      return document.scope === 'admin' ? `Unlock ${document.target}` : `Unlock ${UNLOCKED[document.scope]}`;
    case 'change':
      return `Let a changed ${document.field === 'email' ? 'e-mail address' : document.field} of ${document.subject} in before its time`;
    case 'rotate-key':
      return `Put organisation key ${document.number} in force`;
    case 'leave':
      return `Erase ${counted(document.subjects.length, 'person').replace(/persons$/, 'people')} who left`;
    case 'export':
      return `Export ${counted(document.people, 'person', 'people')} to ${counted(document.recipients.length, 'recipient')}`;
    case 'hydrate':
      return `Open the search by ${document.field} for ${counted(document.hours, 'hour')}`;
    case 'invite':
      return `Invite ${document.admin} as ${document.role}`;
    case 'notice':
      return `Write to ${counted(document.subjects.length, 'person', 'people')}: ${TEMPLATES[document.topic].title.toLowerCase()}`;
    case 'roster':
      return rosterSummary(document);
    default:
      return document satisfies never;
  }
}

export const approvalRoutes = [
  route({
    method: 'GET',
    path: '/approvals',
    summary: 'What needs two people; open ones first, at most 200.',
    for: 'all',
    query: z.strictObject({ ...page, state: z.enum(STATES).optional() }),
    handle: async ({ doors, query: { state } }) => {
      const items = (await listApprovals(doors.pool))
        .filter((approval) => state === undefined || approval.state === state)
        .map((approval) => {
          const { id, op, document, requester, reason, createdAt, notAfter, doneAt, signatures, needs } = approval;
          return {
            ...{ id, op, requester, reason, createdAt, notAfter, doneAt, signatures, needs, state: approval.state },
            summary: summary(approval),
            purpose: document.purpose,
            devices: devicesOf(document),
          };
        });
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'GET',
    path: '/locks',
    summary: 'Locks, those in force first.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await listLocks(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/locks',
    summary: 'Locks at once; lifting needs two people.',
    for: 'all',
    body: z.strictObject({
      scope: z.enum(LOCK_SCOPES),
      target: z.string().max(63),
      reason: z.string().trim().min(3).max(200),
    }),
    handle: async ({ doors, session, body }) => ({
      id: await tx(doors.pool, (t) => askLock(t, { ...body, by: session.admin })),
    }),
  }),
  route({
    method: 'POST',
    path: '/locks/{id}/unlock',
    summary: 'Asks two people to lift a lock.',
    for: ['administrator'],
    body: z.strictObject({ purpose }),
    handle: async ({ doors, session, param, body }) => {
      const lock = uuid.parse(param('id'));
      const document = await tx(doors.pool, (t) =>
        askUnlock(t, { lock, by: session.admin, purpose: body.purpose, now: doors.now() }),
      );
      return { approval: document.id };
    },
  }),
  route({
    method: 'GET',
    path: '/admins',
    summary: 'Who the guards know.',
    for: 'all',
    handle: async ({ doors }) => {
      const [{ keys }, { locked }] = await Promise.all([
        doors.ledger.call<{ keys: RosterKey[] }>('roster', {}),
        doors.ledger.call<{ locked: { scope: string; target: string }[] }>('status', {}),
      ]);
      const items = [...Map.groupBy(keys, (key) => key.admin)]
        .map(([name, own]) => ({
          admin: name,
          role: own[0]!.role,
          since: new Date(Math.min(...own.map((key) => key.since))),
          keys: own.length,
          founding: own.some((key) => key.founding),
          locked: locked.some((lock) => lock.scope === 'admin' && lock.target === name),
        }))
        .sort((a, b) => a.admin.localeCompare(b.admin));
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/admins/invitations',
    summary: 'Asks two people to invite an admin. The link is shown once.',
    for: ['administrator'],
    body: z.strictObject({ admin, role: z.enum(ROLES), purpose }),
    handle: async ({ doors, session, body }) => {
      const { threshold: needs } = await askLedgerRoster(doors);
      const { document, token } = await tx(doors.pool, (t) =>
        askInvite(t, { ...body, by: session.admin, now: doors.now(), needs }),
      );
      return { approval: document.id, link: `${doors.origins.glass}/#join=${token}&admin=${body.admin}` };
    },
  }),
];
