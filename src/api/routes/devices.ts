import * as z from 'zod';
import { cancelIntent, deviceIntents, deviceTimeline, getDevice, listDevices, stateIntent } from '#fleet';
import { requestApproval } from '#respond';
import { tx } from '#store';
import { handle, page, paged, purpose, route, search, uuid } from '../route.ts';

const STATES = ['offered', 'certified', 'authenticated', 'enrolled', 'checked_out', 'retired'] as const;
const VERBS = [
  ...['DeviceInformation', 'SecurityInfo', 'ProfileList', 'InstallProfile', 'RemoveProfile', 'DeviceLock'],
  'EraseDevice',
] as const;

export const deviceRoutes = [
  route({
    method: 'GET',
    path: '/devices',
    summary: 'Devices by handle.',
    for: 'all',
    query: z.strictObject({ ...page, q: search, state: z.enum(STATES).optional() }),
    handle: async ({ doors, query: { q, state, after, limit } }) => {
      const { devices, total } = await listDevices(doors.pool, {
        ...(q === undefined ? {} : { text: q }),
        ...(state === undefined ? {} : { state }),
        ...(after === undefined ? {} : { after }),
        limit: limit + 1,
      });
      return paged(devices, limit, total, (device) => device.handle);
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{handle}',
    summary: 'One device: inventory, commands, intents, timeline.',
    for: 'all',
    handle: async ({ doors, param }) => {
      const device = param('handle');
      const [found, intents, events] = await Promise.all([
        getDevice(doors.pool, device),
        deviceIntents(doors.pool, device),
        deviceTimeline(doors.pool, device, { limit: 100 }),
      ]);
      return { ...found, intents, events };
    },
  }),
  route({
    method: 'POST',
    path: '/intents',
    summary: 'States what should be done with devices. What destroys waits for two people.',
    for: ['administrator'],
    body: z.strictObject({
      verb: z.enum(VERBS),
      devices: z.union([z.array(handle).min(1).max(20_000), z.literal('all')]),
      params: z.strictObject({
        profile: z
          .string()
          .max(512 * 1024)
          .optional(),
        identifier: z.string().min(1).max(255).optional(),
      }),
      purpose,
    }),
    handle: async ({ doors, session, body: { verb, devices, params, purpose: why } }) =>
      tx(doors.pool, async (t) => {
        const stated = await stateIntent(t, {
          verb: verb as Parameters<typeof stateIntent>[1]['verb'],
          devices,
          params: params as { profile?: string; identifier?: string },
          requester: session.admin,
          purpose: why,
          now: doors.now(),
        });
        if (stated.approval !== undefined) await requestApproval(t, stated.approval);
        return { id: stated.id, state: stated.state, approval: stated.approval?.id ?? null };
      }),
  }),
  route({
    method: 'POST',
    path: '/intents/{id}/cancel',
    summary: 'Takes back what no device has fetched yet.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      const id = uuid.parse(param('id'));
      return { cancelled: await tx(doors.pool, (t) => cancelIntent(t, { intent: id, by: session.admin })) };
    },
  }),
];
