import * as z from 'zod';
import { claimsOf, decideClaim, linkAnew, trustHolder } from '#fleet';
import { tx } from '#store';
import { handle, route, uuid } from '../route.ts';

const DAY_MS = 24 * 3_600_000;

/** Phones that say they are one which is enrolled already, and links that enrol one anew. */
export const claimRoutes = [
  route({
    method: 'GET',
    path: '/claims',
    summary: 'Phones that said they are one which is enrolled already, and wait for a decision.',
    for: 'all',
    query: z.strictObject({ device: handle.optional() }),
    handle: async ({ doors, query: { device } }) => ({ items: await claimsOf(doors.pool, device) }),
  }),
  route({
    method: 'POST',
    path: '/claims/{id}/decide',
    summary: 'Says whether it is the same phone: its link works once more, or its certificate is revoked.',
    for: ['administrator'],
    body: z.strictObject({ agree: z.boolean() }),
    handle: async ({ doors, session, param, body: { agree } }) => {
      await tx(doors.pool, (t) => decideClaim(t, { id: uuid.parse(param('id')), agree, by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/trust-holder',
    summary: 'Lets the commands of a device go on that two seem to hold.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => trustHolder(t, { device: handle.parse(param('handle')), by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/link',
    summary: 'Makes a link to enrol this device anew, with its holder and owner. It is shown once.',
    for: ['administrator'],
    body: z.strictObject({ days: z.number().int().min(1).max(30).default(7) }),
    handle: async ({ doors, session, param, body: { days } }) => {
      const old = handle.parse(param('handle'));
      const ttlMs = days * DAY_MS;
      const { device, token } = await tx(doors.pool, (t) => linkAnew(t, { device: old, by: session.admin, ttlMs }));
      return { device, expiresAt: new Date(doors.now() + ttlMs), link: `${doors.origins.edge}/enrol/${token}` };
    },
  }),
];
