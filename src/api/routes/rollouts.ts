import * as z from 'zod';
import { askRollout, listRollouts, listSubjects, type Ring, ROLLOUT_KINDS, startRollout } from '#fleet';
import { tx } from '#store';
import { purpose, route, uuid } from '../route.ts';

/** How a rollout goes; what is left out is as it usually is. */
const way = {
  purpose,
  maxErrorPercent: z.number().int().min(0).max(50).optional(),
  plan: z
    .array(
      z.strictObject({
        percent: z.number().positive().max(100),
        atLeast: z.number().int().min(0).max(100),
        soakHours: z.number().min(1).max(336),
      }),
    )
    .min(2)
    .max(6)
    .optional(),
};
interface Way {
  readonly purpose: string;
  readonly maxErrorPercent?: number | undefined;
  readonly plan?: readonly Ring[] | undefined;
}
const given = ({ purpose: why, maxErrorPercent, plan }: Way) => ({
  purpose: why,
  ...(maxErrorPercent === undefined ? {} : { maxErrorPercent }),
  ...(plan === undefined ? {} : { plan }),
});

/** Rollouts in rings, whatever they carry. */
export const rolloutRoutes = [
  route({
    method: 'GET',
    path: '/rollouts',
    summary: 'Rollouts, those under way first.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await listRollouts(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'GET',
    path: '/rollout-subjects',
    summary: 'What can be rolled out: profiles and apps with their versions, sets of declarations that wait for it.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await listSubjects(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/rollouts',
    summary: 'Rolls out a version of a profile or an app, or a set of declarations, in rings with soak.',
    for: ['administrator'],
    body: z.strictObject({ kind: z.enum(ROLLOUT_KINDS), subject: uuid, version: uuid.optional(), ...way }),
    handle: async ({ doors, session, body }) => ({
      id: await tx(doors.pool, (t) =>
        startRollout(t, {
          ...{ kind: body.kind, subject: body.subject, by: session.admin, ...given(body) },
          ...(body.version === undefined ? {} : { version: body.version }),
        }),
      ),
    }),
  }),
  route({
    method: 'POST',
    path: '/profiles/{id}/rollouts',
    summary: 'Rolls a version out in rings with soak to the devices that have the profile assigned.',
    for: ['administrator'],
    body: z.strictObject({ version: uuid, ...way }),
    handle: async ({ doors, session, param, body }) => ({
      id: await tx(doors.pool, (t) =>
        startRollout(t, {
          ...{ kind: 'profile', subject: param('id'), version: body.version, by: session.admin },
          ...given(body),
        }),
      ),
    }),
  }),
  route({
    method: 'POST',
    path: '/rollouts/{id}/acts',
    summary: 'Pauses, resumes, gives up, or asks to cut the soak short, which takes a second person.',
    for: ['administrator'],
    body: z.strictObject({ act: z.enum(['pause', 'resume', 'skip', 'cancel']) }),
    handle: async ({ doors, session, param, body: { act } }) => {
      await tx(doors.pool, (t) => askRollout(t, { rollout: param('id'), act, by: session.admin }));
      return undefined;
    },
  }),
];
