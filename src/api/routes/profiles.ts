import * as z from 'zod';
import {
  addWindow,
  assignProfile,
  diffVersions,
  dryRun,
  getProfile,
  listProfiles,
  listRollouts,
  listWindows,
  removeWindow,
  storeProfile,
  unassignProfile,
} from '#fleet';
import { tx } from '#store';
import { handle, route, uuid } from '../route.ts';

/** A profile as text, or a signed one in base64 with `signed`. */
const handedIn = z.strictObject({
  profile: z
    .string()
    .min(1)
    .max(720 * 1024),
  signed: z.boolean().optional(),
});
const bytesOf = ({ profile, signed }: z.infer<typeof handedIn>): Buffer =>
  Buffer.from(profile, signed === true ? 'base64' : 'utf8');
const listed = <T>(items: readonly T[]) => ({ items, next: null, total: items.length });

export const profileRoutes = [
  route({
    method: 'GET',
    path: '/profiles',
    summary: 'The library of configuration profiles.',
    for: 'all',
    handle: async ({ doors }) => listed(await listProfiles(doors.pool)),
  }),
  route({
    method: 'POST',
    path: '/profiles/dry-run',
    summary: 'What storing and rolling out a profile would change, in words; stores nothing.',
    for: ['administrator'],
    body: handedIn,
    handle: ({ doors, body }) => dryRun(doors.pool, bytesOf(body)),
  }),
  route({
    method: 'POST',
    path: '/profiles',
    summary: 'Stores a profile or a new version of one. Sends nothing.',
    for: ['administrator'],
    body: handedIn,
    handle: ({ doors, session, body }) =>
      tx(doors.pool, (t) => storeProfile(t, { bytes: bytesOf(body), by: session.admin })),
  }),
  route({
    method: 'GET',
    path: '/profiles/{id}',
    summary: 'One profile: versions, assignments, dangers, rollouts.',
    for: 'all',
    handle: async ({ doors, param }) => {
      const id = uuid.parse(param('id'));
      const [found, rollouts] = await Promise.all([getProfile(doors.pool, id), listRollouts(doors.pool, id)]);
      return { ...found, rollouts };
    },
  }),
  route({
    method: 'GET',
    path: '/profiles/{id}/diff',
    summary: 'What one version changes against another, key by key; secrets are not shown.',
    for: 'all',
    query: z.strictObject({ from: uuid.optional(), to: uuid }),
    handle: ({ doors, param, query: { from, to } }) =>
      diffVersions(doors.pool, uuid.parse(param('id')), from ?? null, to),
  }),
  route({
    method: 'POST',
    path: '/profiles/{id}/assignments',
    summary: 'Wants a profile on a group or a device.',
    for: ['administrator'],
    body: z.union([z.strictObject({ group: uuid }), z.strictObject({ device: handle })]),
    handle: async ({ doors, session, param, body }) => ({
      id: await tx(doors.pool, (t) => assignProfile(t, { profile: param('id'), ...body, by: session.admin })),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/assignments/{id}',
    summary: 'No longer wants a profile there; devices lose it, within one person’s budget.',
    for: ['administrator'],
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => unassignProfile(t, { assignment: param('id'), by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'GET',
    path: '/windows',
    summary: 'Maintenance windows by group, with the next opening of each.',
    for: 'all',
    handle: async ({ doors }) => listed(await listWindows(doors.pool, doors.now())),
  }),
  route({
    method: 'POST',
    path: '/windows',
    summary: 'Gives a group a weekly window; changes reach its devices in its windows only.',
    for: ['administrator'],
    body: z.strictObject({
      group: uuid,
      timeZone: z.string().min(1).max(64),
      days: z.array(z.number().int().min(0).max(6)).min(1).max(7),
      fromMinute: z.number().int().min(0).max(1439),
      minutes: z.number().int().min(15).max(1440),
    }),
    handle: async ({ doors, session, body }) => ({
      id: await tx(doors.pool, (t) => addWindow(t, { ...body, by: session.admin })),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/windows/{id}',
    summary: 'Takes a window away.',
    for: ['administrator'],
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => removeWindow(t, { window: param('id'), by: session.admin }));
      return undefined;
    },
  }),
];
