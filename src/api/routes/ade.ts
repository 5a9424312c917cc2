import * as z from 'zod';
import { adeState, askAde, checkAdePolicy, expectHolders, giveHolder, readHolderList } from '#fleet';
import { unknownPeople } from '#people';
import { tx } from '#store';
import { ApiError } from '../error.ts';
import { handle, route } from '../route.ts';

const pem = z.string().max(64 * 1024);
const policy = z.strictObject({
  autoAssign: z.boolean(),
  unverified: z.enum(['refuse', 'accept']),
  deviceCas: pem,
  minimumOs: z.string().max(16),
  supervised: z.boolean(),
  mandatory: z.boolean(),
  removable: z.boolean(),
  awaitConfigured: z.boolean(),
  skip: z.array(z.string().max(64)).max(100),
  anchors: pem,
});

/** Automated device enrolment: Apple's device assignment service as core last heard of it, and what core shall do next. */
export const adeRoutes = [
  route({
    method: 'GET',
    path: '/ade',
    summary: 'Device assignment: token, last sync, policy, devices. Never the token.',
    for: 'all',
    handle: ({ doors }) => adeState(doors.pool),
  }),
  ...(['key', 'sync'] as const).map((what) =>
    route({
      method: 'POST',
      path: `/ade/${what}`,
      summary: what === 'key' ? 'Makes the key pair that Apple encrypts tokens to.' : 'Asks Apple now.',
      for: ['administrator'],
      body: z.strictObject({}),
      handle: async ({ doors, session }) => {
        await tx(doors.pool, (t) => askAde(t, session.admin, { what }));
        return undefined;
      },
    }),
  ),
  route({
    method: 'POST',
    path: '/ade/token',
    summary: 'Hands the server token from Apple Business Manager to core, as it came: encrypted.',
    for: ['administrator'],
    body: z.strictObject({ file: z.base64().max(88 * 1024) }),
    handle: async ({ doors, session, body: { file } }) => {
      await tx(doors.pool, (t) => askAde(t, session.admin, { what: 'token', upload: Buffer.from(file, 'base64') }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/ade/policy',
    summary: 'How assigned devices are set up, and who is let in.',
    for: ['administrator'],
    body: policy,
    handle: async ({ doors, session, body }) => {
      await tx(doors.pool, (t) => askAde(t, session.admin, { what: 'policy', policy: checkAdePolicy(body) }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/ade/devices',
    summary: 'Gives devices our profile at Apple, or takes it from them.',
    for: ['administrator'],
    body: z.strictObject({ act: z.enum(['assign', 'remove']), devices: z.array(handle).min(1).max(1000) }),
    handle: async ({ doors, session, body: { act, devices } }) => {
      await tx(doors.pool, (t) => askAde(t, session.admin, { what: act, devices }));
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/ade/holders',
    summary: 'Names the holders of serial numbers, `serial,handle` a line; before or after the devices enrol.',
    for: ['administrator'],
    body: z.strictObject({
      csv: z
        .string()
        .min(1)
        .max(768 * 1024),
    }),
    handle: ({ doors, session, body: { csv } }) =>
      tx(doors.pool, async (t) => {
        const { named, refused } = readHolderList(csv);
        const nobody = new Set(await unknownPeople(t, [...new Set(named.map(({ holder }) => holder))]));
        const known = named.filter(({ holder }) => !nobody.has(holder));
        const done = await expectHolders(t, { named: known, by: session.admin });
        return { ...done, refused: refused.slice(0, 100), nobody: [...nobody].slice(0, 100) };
      }),
  }),
  route({
    method: 'POST',
    path: '/devices/{handle}/holder',
    summary: 'Gives a device its holder, by a handle of the directory, or none.',
    for: ['administrator'],
    body: z.strictObject({ holder: handle.nullable() }),
    handle: async ({ doors, session, param, body: { holder } }) => {
      await tx(doors.pool, async (t) => {
        if (holder !== null && (await unknownPeople(t, [holder])).length > 0)
          throw new ApiError('unknown-person', 'The directory has nobody with this handle.', { status: 404 });
        await giveHolder(t, { device: param('handle'), holder, by: session.admin });
      });
      return undefined;
    },
  }),
];
