import * as z from 'zod';
import {
  askAttestation,
  deviceIdentity,
  expectSerial,
  identityPolicy,
  reattestationDays,
  serviceTokenAllowance,
  setReattestation,
  setServiceTokens,
  TOKEN_ALLOWANCES,
} from '#fleet';
import { tx } from '#store';
import { ApiError } from '../error.ts';
import { handle, route } from '../route.ts';

export const identityRoutes = [
  route({
    method: 'GET',
    path: '/identity-policy',
    summary:
      'The least that an enrolment asks for, the attestation roots that are believed, and how often devices are asked again.',
    for: 'all',
    handle: async ({ doors }) => ({
      ...(await identityPolicy(doors.pool)),
      reattestDays: await reattestationDays(doors.pool),
      serviceTokens: await serviceTokenAllowance(doors.pool),
    }),
  }),
  route({
    method: 'GET',
    path: '/devices/{handle}/identity',
    summary: 'How a device got its certificate, and what was attested of it.',
    for: 'all',
    handle: ({ doors, param }) => deviceIdentity(doors.pool, handle.parse(param('handle'))),
  }),
  route({
    method: 'POST',
    path: '/identity-policy/reattestation',
    summary: 'How often devices are asked for a new attestation, in days; 0 is never.',
    for: ['administrator'],
    body: z.strictObject({ days: z.union([z.literal(0), z.int().min(7).max(365)]) }),
    handle: async ({ doors, session, body: { days } }) => {
      await tx(doors.pool, (t) => setReattestation(t, { days, by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/identity-policy/service-tokens',
    summary: 'Whose devices get tokens that let Managed Apple Accounts sign in on managed devices only.',
    for: ['administrator'],
    body: z.strictObject({ allow: z.enum(TOKEN_ALLOWANCES) }),
    handle: async ({ doors, session, body: { allow } }) => {
      await tx(doors.pool, (t) => setServiceTokens(t, { allow, by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/attestation',
    summary:
      'Asks the device now for what Apple’s servers vouch for; at most once in seven days that is a fresh answer.',
    for: ['administrator', 'analyst'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      const asked = await tx(doors.pool, (t) => askAttestation(t, handle.parse(param('handle')), session.admin));
      if (asked) return undefined;
      throw new ApiError('not-askable', 'This device is not enrolled, cannot be attested, or is being asked already.', {
        status: 409,
      });
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/expected-serial',
    summary: 'Names the one device that an unopened link is for; an attestation of another is refused.',
    for: ['administrator'],
    body: z.strictObject({ serial: z.string().regex(/^[A-Z0-9]{8,20}$/) }),
    handle: async ({ doors, param, body: { serial } }) => {
      await tx(doors.pool, (t) => expectSerial(t, handle.parse(param('handle')), serial));
      return undefined;
    },
  }),
];
