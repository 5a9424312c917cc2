import * as z from 'zod';
import { accountCounts, LINK_STATES, listLinks, markPersonal, offerEnrolments, revokeLink } from '#fleet';
import { tx } from '#store';
import { handle, page, route, uuid } from '../route.ts';

const DAY_MS = 24 * 3_600_000;

/** Enrolment links: made, listed with their state, taken back. A link is in the answer that makes it and nowhere else. */
export const enrolmentRoutes = [
  route({
    method: 'GET',
    path: '/enrolments',
    summary: 'Enrolment links with their state, newest first; never the links themselves.',
    for: 'all',
    query: z.strictObject({
      limit: page.limit,
      after: uuid.optional(),
      state: z.enum([...LINK_STATES, 'open']).optional(),
    }),
    handle: async ({ doors, query: { state, after, limit } }) => {
      const { links, counts } = await listLinks(doors.pool, {
        ...(state === undefined ? {} : { state }),
        ...(after === undefined ? {} : { after }),
        limit: limit + 1,
      });
      const items = links.slice(0, limit);
      const total = Object.entries(counts)
        .filter(([one]) => state === undefined || one === state || (state === 'open' && /^(offered|opened)$/.test(one)))
        .reduce((sum, [, n]) => sum + n, 0);
      return { items, next: links.length > limit ? items.at(-1)!.id : null, total, counts };
    },
  }),
  route({
    method: 'POST',
    path: '/enrolments',
    summary: 'Makes enrolment links, one a device; each is shown once and works once.',
    for: ['administrator'],
    body: z.strictObject({
      holders: z.array(handle.nullable()).min(1).max(1000),
      ownership: z.enum(['organisation', 'personal']).default('organisation'),
      identity: z.enum(['scep', 'acme', 'acme-attested']).default('scep'),
      days: z.number().int().min(1).max(30).default(7),
    }),
    handle: async ({ doors, session, body: { holders, ownership, identity, days } }) => {
      const ttlMs = days * DAY_MS;
      const offers = await tx(doors.pool, (t) =>
        offerEnrolments(t, { createdBy: session.admin, holders, ttlMs, ownership, identity }),
      );
      const expiresAt = new Date(doors.now() + ttlMs);
      return {
        items: offers.map(({ token, ...offer }) => ({
          ...offer,
          expiresAt,
          link: `${doors.origins.edge}/enrol/${token}`,
        })),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/enrolments/accounts',
    summary: 'How many people enrolled their own devices by account, and how many devices; never who.',
    for: 'all',
    handle: ({ doors }) => accountCounts(doors.pool),
  }),
  route({
    method: 'POST',
    path: '/enrolments/{id}/revoke',
    summary: 'Ends a link that nobody has used yet.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => revokeLink(t, { link: uuid.parse(param('id')), by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/personal',
    summary: 'Marks a device as its holder’s own: it is never erased. There is no way back but a new enrolment.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => markPersonal(t, { device: param('handle'), by: session.admin }));
      return undefined;
    },
  }),
];
