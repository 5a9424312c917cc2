import * as z from 'zod';
import { deviceIdentity, expectSerial, identityPolicy } from '#fleet';
import { tx } from '#store';
import { handle, route } from '../route.ts';

export const identityRoutes = [
  route({
    method: 'GET',
    path: '/identity-policy',
    summary: 'The least that an enrolment asks for, and the attestation roots that are believed.',
    for: 'all',
    handle: ({ doors }) => identityPolicy(doors.pool),
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
