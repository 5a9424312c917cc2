import * as z from 'zod';
import {
  addNote,
  confirmT0,
  exposureMarkdown,
  getIncident,
  listExposures,
  listIncidents,
  makeExposure,
  openIncident,
  setStatus,
} from '#incident';
import { tx } from '#store';
import { listAlerts } from '#watch';
import type { ApiDoors } from '../doors.ts';
import { ApiError } from '../error.ts';
import { admin, route } from '../route.ts';

const when = z.iso.datetime().transform((text) => Date.parse(text));
const HANDLERS = ['administrator', 'analyst', 'dpo'] as const;

export const incidentRoutes = [
  route({
    method: 'GET',
    path: '/incidents',
    summary: 'Incidents, newest first, at most 100.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await listIncidents(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/incidents',
    summary: 'Opens an incident over acts since a moment.',
    for: HANDLERS,
    body: z.strictObject({
      title: z.string().trim().min(3).max(200),
      windowFrom: when,
      principal: admin.nullable(),
    }),
    handle: async ({ doors, session, body: { title, windowFrom, principal } }) =>
      tx(doors.pool, (t) => openIncident(t, { title, openedBy: session.admin, windowFrom, principal })),
  }),
  route({
    method: 'GET',
    path: '/incidents/{id}',
    summary: 'One incident: clock, notes, exposure reports, alerts.',
    for: 'all',
    handle: async ({ doors, param }) => {
      const id = param('id');
      const { incident, notes } = await getIncident(doors.pool, id);
      const [exposures, { alerts }] = await Promise.all([
        listExposures(doors.pool, id),
        listAlerts(doors.pool, { incident: id, limit: 200 }),
      ]);
      return { incident, notes, exposures, alerts };
    },
  }),
  route({
    method: 'POST',
    path: '/incidents/{id}/t0',
    summary: 'Confirms when the organisation became aware; once.',
    for: HANDLERS,
    body: z.strictObject({ t0: when, reason: z.string().trim().min(5).max(500) }),
    handle: async ({ doors, session, param, body: { t0, reason } }) =>
      tx(doors.pool, (t) => confirmT0(t, { id: param('id'), t0, by: session.admin, reason, now: doors.now() })),
  }),
  route({
    method: 'POST',
    path: '/incidents/{id}/notes',
    summary: 'Adds a note; notes are never changed.',
    for: HANDLERS,
    body: z.strictObject({ text: z.string().trim().min(1).max(4000) }),
    handle: async ({ doors, session, param, body: { text } }) => {
      await tx(doors.pool, (t) => addNote(t, { id: param('id'), author: session.admin, text }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/incidents/{id}/status',
    summary: 'Marks an incident contained or closed.',
    for: HANDLERS,
    body: z.strictObject({ status: z.enum(['contained', 'closed']) }),
    handle: async ({ doors, session, param, body: { status } }) =>
      tx(doors.pool, (t) => setStatus(t, { id: param('id'), status, by: session.admin })),
  }),
  route({
    method: 'POST',
    path: '/incidents/{id}/exposure',
    summary: 'Makes the exposure report from the ledger and checks it against the signed log.',
    for: HANDLERS,
    body: z.strictObject({}),
    handle: ({ doors, session, param }) =>
      makeExposure(doors.pool, doors.ledger, {
        incident: param('id'),
        by: session.admin,
        now: doors.now(),
        logVerifier: doors.keys.log,
      }),
  }),
  route({
    method: 'GET',
    path: '/incidents/{id}/exposures/{file}',
    summary: 'A stored exposure report as a file: `<id>.md` or `<id>.json`.',
    for: 'all',
    handle: async ({ doors, param }) => {
      const [report, form] = param('file').split('.') as [string, string];
      const found = await exposure(doors, param('id'), report);
      const [type, text] =
        form === 'md'
          ? ['text/markdown', exposureMarkdown(found)]
          : ['application/json', `${JSON.stringify(found, null, 2)}\n`];
      return new Response(text, {
        headers: {
          'content-type': `${type}; charset=utf-8`,
          'content-disposition': `attachment; filename="exposure-${report}.${form}"`,
        },
      });
    },
  }),
];

async function exposure(doors: ApiDoors, incident: string, report: string) {
  const found = (await listExposures(doors.pool, incident)).find((one) => one.id === report);
  if (found === undefined) throw new ApiError('not-found', 'There is no such exposure report.', { status: 404 });
  return found;
}
