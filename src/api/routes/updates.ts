import * as z from 'zod';
import { endUpdate, listReleases, listUpdates, planUpdate, previewUpdate, putReleases, updateDevices } from '#fleet';
import { tx } from '#store';
import { route, uuid } from '../route.ts';

const version = z
  .string()
  .regex(/^\d{1,3}(\.\d{1,3}){1,2}$/)
  .nullable();
const ADMIN = ['administrator'] as const;

export const updateRoutes = [
  route({
    method: 'GET',
    path: '/software-updates',
    summary: 'Planned software updates, devices that are behind, and the versions that are known.',
    for: 'all',
    handle: async ({ doors }) => {
      const [plans, devices, releases, feed] = await Promise.all([
        listUpdates(doors.pool),
        updateDevices(doors.pool, { limit: 200 }),
        listReleases(doors.pool),
        doors.pool.query<{ source: string; takenAt: Date }>('select source, taken_at as "takenAt" from fleet.os_feed'),
      ]);
      return {
        ...{ plans, devices, feed: feed.rows[0] ?? null },
        releases: releases.map(({ models, ...release }) => ({ ...release, models: models.length })),
      };
    },
  }),
  route({
    method: 'POST',
    path: '/software-updates/preview',
    summary: 'What each model in scope would get; changes nothing.',
    for: 'all',
    body: z.strictObject({ group: uuid.nullable(), version }),
    handle: async ({ doors, body }) => ({ models: await previewUpdate(doors.pool, body) }),
  }),
  route({
    method: 'POST',
    path: '/software-updates',
    summary: 'Plans an update with a deadline. Refuses a version that a model in scope cannot have.',
    for: ADMIN,
    body: z.strictObject({
      name: z.string().trim().min(1).max(48),
      group: uuid.nullable(),
      version,
      deadline: z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$/),
      detailsUrl: z.string().max(2048).nullable(),
    }),
    handle: ({ doors, session, body }) => tx(doors.pool, (t) => planUpdate(t, { ...body, by: session.admin })),
  }),
  route({
    method: 'POST',
    path: '/software-updates/{id}/end',
    summary: 'Ends a plan: its devices are no longer made to update.',
    for: ADMIN,
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await endUpdate(doors.pool, param('id'), session.admin);
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/software-updates/feed',
    summary: 'Takes a list of signed versions (Apple’s gdmf format) by hand.',
    for: ADMIN,
    body: z.strictObject({ feed: z.record(z.string(), z.unknown()) }),
    handle: async ({ doors, session, body }) => {
      const bytes = Buffer.from(JSON.stringify(body.feed));
      return { releases: await tx(doors.pool, (t) => putReleases(t, bytes, 'uploaded', session.admin)) };
    },
  }),
];
