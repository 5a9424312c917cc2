import * as z from 'zod';
import { assignApp, listApps, saveApp, unassignApp } from '#fleet';
import { tx } from '#store';
import { route, uuid } from '../route.ts';

export const appRoutes = [
  route({
    method: 'GET',
    path: '/apps',
    summary: 'Apps with their groups and licences, and the licence service.',
    for: 'all',
    handle: async ({ doors }) => {
      const { apps, service } = await listApps(doors.pool);
      return { items: apps, next: null, total: apps.length, service };
    },
  }),
  route({
    method: 'POST',
    path: '/apps',
    summary: 'Adds an app, or changes name and configuration of the one with the same identifier.',
    for: ['administrator'],
    body: z.strictObject({
      identifier: z.string().regex(/^[A-Za-z0-9._-]{1,155}$/),
      name: z.string().trim().min(1).max(80),
      adamId: z
        .number()
        .int()
        .positive()
        .max(2 ** 48)
        .optional(),
      manifestUrl: z
        .string()
        .regex(/^https:\/\/[^\s<>"']{4,490}$/)
        .optional(),
      configuration: z.record(z.string().max(200), z.json()).optional(),
    }),
    handle: async ({ doors, session, body: { identifier, name, adamId, manifestUrl, configuration } }) => ({
      id: await tx(doors.pool, (t) =>
        saveApp(t, {
          ...{ identifier, name, by: session.admin },
          ...(adamId === undefined ? {} : { adamId }),
          ...(manifestUrl === undefined ? {} : { manifestUrl }),
          ...(configuration === undefined ? {} : { configuration: configuration as never }),
        }),
      ),
    }),
  }),
  route({
    method: 'POST',
    path: '/apps/{id}/assignments',
    summary: 'Wants an app on a group.',
    for: ['administrator'],
    body: z.strictObject({ group: uuid }),
    handle: async ({ doors, session, param, body: { group } }) => ({
      id: await tx(doors.pool, (t) => assignApp(t, { app: param('id'), group, by: session.admin })),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/app-assignments/{id}',
    summary: 'No longer wants an app there; devices lose it and licences come back.',
    for: ['administrator'],
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => unassignApp(t, { assignment: param('id'), by: session.admin }));
      return undefined;
    },
  }),
];
