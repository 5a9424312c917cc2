import * as z from 'zod';
import { endSilence, listChannels, listSilences, loadRules, silenceRule, testChannels } from '#watch';
import { ApiError } from '../error.ts';
import { purpose, route } from '../route.ts';

const WATCHERS = ['administrator', 'analyst'] as const;

export const alarmRoutes = [
  route({
    method: 'GET',
    path: '/alert-channels',
    summary: 'Where alerts go, whether it works, and which rules are silenced.',
    for: 'all',
    handle: async ({ doors }) => {
      const [channels, silences] = await Promise.all([listChannels(doors.pool), listSilences(doors.pool)]);
      return { channels, silences };
    },
  }),
  route({
    method: 'POST',
    path: '/alert-channels/test',
    summary: 'Sends a word to every channel, to see that it comes.',
    for: WATCHERS,
    body: z.strictObject({}),
    handle: async ({ doors, session }) => ({ channels: await testChannels(doors.pool, session.admin) }),
  }),
  route({
    method: 'POST',
    path: '/silences',
    summary: 'Sends alerts of one rule to nobody for a while; critical ones are sent all the same.',
    for: WATCHERS,
    body: z.strictObject({
      rule: z.string().max(80),
      minutes: z
        .int()
        .min(5)
        .max(7 * 24 * 60),
      why: purpose,
    }),
    handle: async ({ doors, session, body }) => {
      if (!loadRules().some(({ name }) => name === body.rule)) {
        throw new ApiError('unknown-rule', 'There is no rule of this name.', { status: 404 });
      }
      return { id: await silenceRule(doors.pool, { ...body, by: session.admin }) };
    },
  }),
  route({
    method: 'POST',
    path: '/silences/{id}/end',
    summary: 'Ends a silence before its time.',
    for: WATCHERS,
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await endSilence(doors.pool, param('id'), session.admin);
      return undefined;
    },
  }),
];
