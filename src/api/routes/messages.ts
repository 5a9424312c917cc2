import * as z from 'zod';
import { askNotice, listMessages } from '#respond';
import { CHANNELS, FOR_MANY, MOST_NOTIFIED } from '#seal';
import { tx } from '#store';
import { handle, page, paged, purpose, route } from '../route.ts';

export const messageRoutes = [
  route({
    method: 'GET',
    path: '/messages',
    summary: 'Messages to people, the newest first: to which handle, what for, how far. Never an address or a text.',
    for: 'all',
    query: z.strictObject(page),
    handle: async ({ doors, query: { after, limit } }) => {
      const { items, total, channels } = await listMessages(doors.pool, {
        ...(after === undefined ? {} : { after }),
        limit: limit + 1,
      });
      return { ...paged(items, limit, total, (one) => one.id), channels, organisation: doors.keys.org };
    },
  }),
  route({
    method: 'POST',
    path: '/messages/notices',
    summary: 'Asks two people to send one of the known messages to many.',
    for: ['administrator'],
    body: z.strictObject({
      channel: z.enum(CHANNELS),
      topic: z.enum(FOR_MANY as [string, ...string[]]),
      variables: z.record(z.string().max(20), z.string().max(200)),
      people: z.union([z.literal('everyone'), z.array(handle).min(2).max(MOST_NOTIFIED)]),
      purpose,
    }),
    handle: async ({ doors, session, body }) => {
      const approvals = await tx(doors.pool, (t) =>
        askNotice(t, { ...body, by: session.admin, organisation: doors.keys.org, now: doors.now() }),
      );
      return { approvals };
    },
  }),
];
