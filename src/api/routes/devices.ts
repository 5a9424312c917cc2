import * as z from 'zod';
import {
  type CommandParams,
  cancelIntent,
  deviceIntents,
  deviceTimeline,
  getDevice,
  listDevices,
  stateIntent,
  VERB_NAMES,
  type Verb,
} from '#fleet';
import { requestApproval } from '#respond';
import { tx } from '#store';
import { ApiError } from '../error.ts';
import { handle, page, paged, purpose, route, search, uuid } from '../route.ts';

const STATES = ['offered', 'certified', 'authenticated', 'enrolled', 'checked_out', 'retired'] as const;
const VERBS = VERB_NAMES as readonly [Verb, ...Verb[]];

function readFilter(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('bad-filter', 'The filter is not JSON.');
  }
}

export const deviceRoutes = [
  route({
    method: 'GET',
    path: '/devices',
    summary: 'Devices by handle.',
    for: 'all',
    query: z.strictObject({
      ...{ ...page, q: search, state: z.enum(STATES).optional(), group: uuid.optional() },
      silent: z.enum(['true', 'false']).optional(),
      // a filter as JSON; see /fields
      filter: z.string().max(4_000).optional(),
    }),
    handle: async ({ doors, query: { q, state, after, limit, group, silent, filter } }) => {
      const { devices, total } = await listDevices(doors.pool, {
        ...(q === undefined ? {} : { text: q }),
        ...(state === undefined ? {} : { state }),
        ...(after === undefined ? {} : { after }),
        ...(group === undefined ? {} : { group }),
        ...(filter === undefined ? {} : { filter: readFilter(filter) }),
        silent: silent === 'true',
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
    summary: 'States what should be done with devices. What destroys, locates or is raw waits for two people.',
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
        plist: z
          .string()
          .max(64 * 1024)
          .optional(),
        args: z.record(z.string().max(64), z.json()).optional(),
        channel: z.number().int().positive().optional(),
      }),
      purpose,
      emergency: purpose.optional(),
    }),
    handle: async ({ doors, session, body: { verb, devices, params, purpose: why, emergency } }) =>
      tx(doors.pool, async (t) => {
        const stated = await stateIntent(t, {
          verb,
          devices,
          params: params as CommandParams,
          requester: session.admin,
          purpose: why,
          now: doors.now(),
          changePerHour: doors.caps.changePerHour,
          ...(emergency === undefined ? {} : { emergency }),
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
