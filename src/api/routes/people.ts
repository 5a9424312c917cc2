import * as z from 'zod';
import { devicesOf } from '#fleet';
import { lastRotation, listPeople, offerSheet, tombstoneOf, waitingChanges } from '#people';
import { askExport, askLeave, askRelease, askRotateLocks } from '#respond';
import { EXPORTED, MOST_LEAVING, MOST_RECIPIENTS } from '#seal';
import { tx } from '#store';
import { ApiError } from '../error.ts';
import { handle, page, paged, purpose, route, search } from '../route.ts';

/** Those who answer to people for what is done with their data. */
const ANSWERABLE = ['administrator', 'dpo'] as const;

export const peopleRoutes = [
  route({
    method: 'GET',
    path: '/people',
    summary: 'People by handle. Names and numbers open on glass only.',
    for: 'all',
    query: z.strictObject({ ...page, q: search }),
    handle: async ({ doors, query: { q, after, limit } }) => {
      const { people, total } = await listPeople(doors.pool, {
        ...(q === undefined ? {} : { text: q }),
        ...(after === undefined ? {} : { after }),
        limit: limit + 1,
      });
      const devices = await devicesOf(
        doors.pool,
        people.map((person) => person.handle),
      );
      const rows = people.map((person) => ({ ...person, devices: devices.get(person.handle) ?? [] }));
      return paged(rows, limit, total, (person) => person.handle);
    },
  }),
  route({
    method: 'GET',
    path: '/people/{handle}/history',
    summary: 'Who looked at a person’s data, and the erasure, newest first: from the log, with proofs.',
    for: ANSWERABLE,
    query: z.strictObject({ after: z.coerce.number().int().min(0).optional() }),
    handle: async ({ doors, param, query: { after } }) => {
      const subject = param('handle');
      const [history, tombstone] = await Promise.all([
        doors.ledger.call<object>('history', { subject, after: after ?? -1 }, { timeoutMs: 30_000 }),
        tombstoneOf(doors.pool, subject),
      ]);
      return { ...history, rowsGoneAt: tombstone?.leftAt ?? null, verifier: doors.keys.log };
    },
  }),
  route({
    method: 'POST',
    path: '/people/{handle}/sheet',
    summary: 'Makes the one-time link by which a person sees who looked at their data. It is shown once.',
    for: ANSWERABLE,
    handle: async ({ doors, session, param }) => {
      const token = await tx(doors.pool, (t) => offerSheet(t, param('handle'), session.admin));
      if (token === undefined) throw new ApiError('not-found', 'Nobody bears this handle.', { status: 404 });
      return { link: `${doors.origins.glass}/#sheet=${token}` };
    },
  }),
  route({
    method: 'GET',
    path: '/people/changes',
    summary: 'Changed numbers and addresses that wait, the next one first, at most 200.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await waitingChanges(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/people/changes/release',
    summary: 'Asks two people to let a change in before its time.',
    for: ['administrator'],
    body: z.strictObject({ subject: handle, field: z.enum(['number', 'email']), version: z.int().min(1), purpose }),
    handle: async ({ doors, session, body }) => {
      const input = { ...body, by: session.admin, now: doors.now() };
      return { approval: (await tx(doors.pool, (t) => askRelease(t, input))).id };
    },
  }),
  route({
    method: 'GET',
    path: '/people/rotation',
    summary: 'When everybody last got a new lock.',
    for: 'all',
    handle: async ({ doors }) => ({ last: (await lastRotation(doors.pool)) ?? null }),
  }),
  route({
    method: 'POST',
    path: '/people/rotation',
    summary: 'Asks two people to give everybody a new lock.',
    for: ['administrator'],
    body: z.strictObject({ purpose }),
    handle: async ({ doors, session, body }) => {
      const input = { ...body, by: session.admin, now: doors.now() };
      return { approval: (await tx(doors.pool, (t) => askRotateLocks(t, input))).id };
    },
  }),
  route({
    method: 'POST',
    path: '/people/export',
    summary: 'Asks two people to export everybody, as one age file to named recipients.',
    for: ['administrator'],
    body: z.strictObject({
      fields: z.array(z.enum(EXPORTED)).min(1).max(EXPORTED.length),
      recipients: z.array(z.string().max(80)).min(1).max(MOST_RECIPIENTS),
      purpose,
    }),
    handle: async ({ doors, session, body }) => {
      const { rows } = await doors.pool.query<{ n: number }>('select count(*)::int as n from people.person');
      const input = { ...body, people: rows[0]!.n, by: session.admin, now: doors.now() };
      return { approval: (await tx(doors.pool, (t) => askExport(t, input))).id };
    },
  }),
  route({
    method: 'POST',
    path: '/people/leave',
    summary: 'Asks two people to erase people who have left.',
    for: ['administrator'],
    body: z.strictObject({ handles: z.array(handle).min(1).max(MOST_LEAVING), purpose }),
    handle: async ({ doors, session, body }) => {
      const input = { ...body, by: session.admin, now: doors.now() };
      return { approval: (await tx(doors.pool, (t) => askLeave(t, input))).id };
    },
  }),
];
