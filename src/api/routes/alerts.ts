import * as z from 'zod';
import { getIncident } from '#incident';
import { actionsOf } from '#respond';
import { tx } from '#store';
import { acknowledgeAlert, getAlert, linkAlert, listAlerts } from '#watch';
import { page, paged, route, uuid } from '../route.ts';

const WATCHERS = ['administrator', 'analyst'] as const;

export const alertRoutes = [
  route({
    method: 'GET',
    path: '/alerts',
    summary: 'Alerts, newest first.',
    for: 'all',
    query: z.strictObject({
      ...page,
      after: uuid.optional(),
      status: z.enum(['open', 'acknowledged', 'closed']).optional(),
    }),
    handle: async ({ doors, query: { status, after, limit } }) => {
      const { alerts, total } = await listAlerts(doors.pool, {
        ...(status === undefined ? {} : { status }),
        ...(after === undefined ? {} : { before: after }),
        limit: limit + 1,
      });
      return paged(alerts, limit, total, (alert) => alert.id);
    },
  }),
  route({
    method: 'GET',
    path: '/alerts/{id}',
    summary: 'One alert: what led to it, what was done.',
    for: 'all',
    handle: async ({ doors, param }) => {
      const id = param('id');
      const [found, actions] = await Promise.all([getAlert(doors.pool, id), actionsOf(doors.pool, id)]);
      return { ...found, actions };
    },
  }),
  route({
    method: 'POST',
    path: '/alerts/{id}/acknowledge',
    summary: 'Says that somebody looks after it.',
    for: WATCHERS,
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => acknowledgeAlert(t, { id: param('id'), by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/alerts/{id}/incident',
    summary: 'Puts an alert under an incident.',
    for: WATCHERS,
    body: z.strictObject({ incident: uuid }),
    handle: async ({ doors, session, param, body: { incident } }) => {
      await tx(doors.pool, async (t) => {
        await getIncident(t, incident);
        await linkAlert(t, { id: param('id'), incident, by: session.admin });
      });
      return undefined;
    },
  }),
];
