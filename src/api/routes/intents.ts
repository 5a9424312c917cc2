import * as z from 'zod';
import { cancelAll, holdIntent, listIntents, recoverDevice, releaseIntent } from '#fleet';
import { tx } from '#store';
import { admin, page, paged, purpose, route, uuid } from '../route.ts';

const verbName = z.string().regex(/^[A-Za-z]{3,40}$/);

export const intentRoutes = [
  route({
    method: 'GET',
    path: '/intents',
    summary: 'What was asked for, newest first, with what became of it.',
    for: 'all',
    query: z.strictObject({
      ...page,
      waiting: z.enum(['true', 'false']).optional(),
      requester: admin.optional(),
      verb: verbName.optional(),
    }),
    handle: async ({ doors, query: { after, limit, waiting, requester, verb } }) => {
      const rows = await listIntents(doors.pool, {
        ...(after === undefined ? {} : { before: uuid.parse(after) }),
        ...(requester === undefined ? {} : { requester }),
        ...(verb === undefined ? {} : { verb }),
        waiting: waiting === 'true',
        limit: limit + 1,
      });
      return paged(rows, limit, Math.min(rows.length, limit), (row) => row.id);
    },
  }),
  route({
    method: 'POST',
    path: '/intents/cancel',
    summary:
      'Takes back everything of one person, or of one verb, that no device has fetched: one step against a mistake or a thief.',
    for: ['administrator', 'analyst'],
    body: z.strictObject({ requester: admin.optional(), verb: verbName.optional() }),
    handle: ({ doors, session, body: { requester, verb } }) =>
      tx(doors.pool, (t) =>
        cancelAll(t, {
          ...(requester === undefined ? {} : { requester }),
          ...(verb === undefined ? {} : { verb }),
          by: session.admin,
        }),
      ),
  }),
  route({
    method: 'POST',
    path: '/intents/{id}/hold',
    summary: 'Holds what no device has fetched yet.',
    for: ['administrator', 'analyst'],
    body: z.strictObject({ why: purpose }),
    handle: async ({ doors, session, param, body: { why } }) => {
      const intent = uuid.parse(param('id'));
      return { held: await tx(doors.pool, (t) => holdIntent(t, { intent, by: session.admin, why })) };
    },
  }),
  route({
    method: 'POST',
    path: '/intents/{id}/release',
    summary: 'Lets held commands go on. What the brake holds, another person than its requester releases.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      const intent = uuid.parse(param('id'));
      await tx(doors.pool, (t) => releaseIntent(t, { intent, by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/recovered',
    summary: 'A lost device is back: what was to lock, track or erase it and was not fetched is taken back.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => ({
      cancelled: await tx(doors.pool, (t) => recoverDevice(t, { device: param('handle'), by: session.admin })),
    }),
  }),
];
