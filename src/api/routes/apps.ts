import * as z from 'zod';
import {
  assignApp,
  beginPackage,
  finishPackage,
  listApps,
  listPackages,
  listVersions,
  MOST_PACKAGE_BYTES,
  PART_BYTES,
  putPackagePart,
  removePackage,
  saveApp,
  unassignApp,
} from '#fleet';
import { tx } from '#store';
import { route, uuid } from '../route.ts';

export const appRoutes = [
  route({
    method: 'GET',
    path: '/apps',
    summary: 'Apps with their groups, licences, versions and packages, and the licence service.',
    for: 'all',
    handle: async ({ doors }) => {
      const [{ apps, service }, versions, packages] = await Promise.all([
        listApps(doors.pool),
        listVersions(doors.pool),
        listPackages(doors.pool),
      ]);
      const items = apps.map((one) => ({
        ...one,
        versions: versions.filter(({ app }) => app === one.id),
        packages: packages.filter(({ app }) => app === one.id),
      }));
      return { items, next: null, total: items.length, service };
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
  route({
    method: 'POST',
    path: '/packages',
    summary: 'Begins to hand in an app package (.ipa) of so many bytes; it follows in parts of 1 MiB.',
    for: ['administrator'],
    body: z.strictObject({ size: z.number().int().min(22).max(MOST_PACKAGE_BYTES) }),
    handle: async ({ doors, session, body: { size } }) => ({
      id: await tx(doors.pool, (t) => beginPackage(t, { size, by: session.admin })),
      partBytes: PART_BYTES,
    }),
  }),
  route({
    method: 'POST',
    path: '/packages/{id}/parts/{n}',
    summary: 'One part of a package, counted from 0; the same part again replaces it.',
    for: ['administrator'],
    bytes: true,
    handle: async ({ doors, session, param, bytes }) => {
      await putPackagePart(doors.pool, { id: param('id'), n: Number(param('n')), bytes, by: session.admin });
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/packages/{id}/finish',
    summary: 'All parts are there: reads the package, and makes it a version of its app.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: ({ doors, session, param }) => finishPackage(doors.pool, { id: param('id'), by: session.admin }),
  }),
  route({
    method: 'DELETE',
    path: '/packages/{id}',
    summary: 'Takes a package away for good, unless its version is the one that devices get.',
    for: ['administrator'],
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => removePackage(t, { id: param('id'), by: session.admin }));
      return undefined;
    },
  }),
];
