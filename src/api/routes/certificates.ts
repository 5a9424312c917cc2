import * as z from 'zod';
import { askRenewal, deviceCertificates, renewalObstacle, revokeCertificates } from '#fleet';
import { tx } from '#store';
import { ApiError } from '../error.ts';
import { route } from '../route.ts';

const notEnrolled = () =>
  new ApiError('not-enrolled', 'This device is not enrolled. Nothing was changed.', { status: 409 });

export const certificateRoutes = [
  route({
    method: 'GET',
    path: '/devices/{handle}/certificates',
    summary: 'A device’s certificates, revoked ones too, and where its renewal stands.',
    for: 'all',
    handle: ({ doors, param }) => deviceCertificates(doors.pool, param('handle')),
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/certificates/renew',
    summary: 'Renews the device’s certificate now instead of when it is due.',
    for: ['administrator'],
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      if ((await renewalObstacle(doors.pool, param('handle'))) !== null)
        throw new ApiError('not-renewable', 'This device’s certificate cannot be renewed. Enrol the device again.', {
          status: 409,
        });
      if (!(await tx(doors.pool, (t) => askRenewal(t, param('handle'), session.admin)))) throw notEnrolled();
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/certificates/revoke',
    summary:
      'Revokes the device’s certificates: it is refused from now on and must be enrolled anew. Nothing on it is erased.',
    for: ['administrator'],
    body: z.strictObject({ reason: z.enum(['keyCompromise', 'privilegeWithdrawn']) }),
    handle: async ({ doors, session, param, body }) => {
      const revoked = await tx(doors.pool, (t) => revokeCertificates(t, param('handle'), session.admin, body.reason));
      if (revoked === 0) throw notEnrolled();
      return { revoked };
    },
  }),
];
