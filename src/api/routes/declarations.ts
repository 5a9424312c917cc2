import * as z from 'zod';
import type { Json } from '#base';
import {
  askDeclare,
  declarationTypes,
  getDeclaration,
  InvalidDeclaration,
  judgeDeclaration,
  listDeclarations,
  listSets,
  previewDeclaration,
  previewSet,
  proposeDeclaration,
  removeDeclaration,
  removeSet,
  saveSet,
  standingOf,
  storeData,
} from '#fleet';
import { requestApproval } from '#respond';
import { tx } from '#store';
import { handle, purpose, route, uuid } from '../route.ts';

const identifier = z.string().min(1).max(128);
const type = z.string().min(1).max(200);
const payload = z.record(z.string(), z.unknown());
const written = { identifier, type, payload, unchecked: z.boolean().default(false) };
const scope = {
  everyone: z.boolean(),
  groups: z.array(uuid).max(200),
  devices: z.array(handle).max(5_000),
};
const setBody = z.strictObject({
  id: uuid.nullable(),
  name: z.string().trim().min(1).max(80),
  predicate: z.string().trim().max(2_000).nullable(),
  declarations: z.array(uuid).max(500),
  // a new set goes out by a rollout alone, perhaps in place of another
  rings: z.strictObject({ replaces: uuid.nullable() }).optional(),
  ...scope,
});
const ADMIN = ['administrator'] as const;

export const declarationRoutes = [
  route({
    method: 'GET',
    path: '/declarations',
    summary: 'Declarations with their state and how devices stand to them.',
    for: 'all',
    handle: async ({ doors }) => ({ items: await listDeclarations(doors.pool) }),
  }),
  route({
    method: 'GET',
    path: '/declarations/types',
    summary: 'The types whose keys are known here, each with the first iOS that has it.',
    for: 'all',
    handle: () => ({ items: declarationTypes() }),
  }),
  route({
    method: 'POST',
    path: '/declarations/check',
    summary: 'Checks a declaration and says whom it would reach; stores nothing.',
    for: 'all',
    body: z.strictObject(written),
    handle: async ({ doors, body }) => {
      const judged = judgeDeclaration({ ...body, payload: body.payload as Record<string, Json> }, body.unchecked);
      const reach = await previewDeclaration(doors.pool, {
        ...{ identifier: body.identifier, token: judged.token, guarded: judged.guarded, since: judged.since },
      });
      return { ...judged, since: judged.since ?? null, ...reach };
    },
  }),
  route({
    method: 'POST',
    path: '/declarations',
    summary:
      'Stores a declaration or a new version of one. Dangerous or unchecked ones reach devices only once two people signed.',
    for: ADMIN,
    body: z.strictObject(written),
    handle: async ({ doors, session, context, body }) => {
      try {
        return await tx(doors.pool, (t) =>
          proposeDeclaration(t, {
            ...{ ...body, payload: body.payload as Record<string, Json> },
            ...{ author: session.admin, now: doors.now() },
          }),
        );
      } catch (error) {
        if (!(error instanceof InvalidDeclaration)) throw error;
        const { code, message: title, problems } = error;
        const problem = { type: `urn:bartizan:problem:${code}`, title, status: 422, code, problems };
        return context.json(problem, 422, { 'Content-Type': 'application/problem+json' });
      }
    },
  }),
  route({
    method: 'GET',
    path: '/declarations/{id}',
    summary: 'One declaration with its versions and the devices that have trouble with it.',
    for: 'all',
    handle: ({ doors, param }) => getDeclaration(doors.pool, param('id')),
  }),
  route({
    method: 'POST',
    path: '/declarations/{id}/remove',
    summary: 'Takes a declaration out of all sets.',
    for: ADMIN,
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await removeDeclaration(doors.pool, param('id'), session.admin);
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/declared-data',
    summary: 'Stores data that an asset or a legacy declaration points to; answers its address, size and hash.',
    for: ADMIN,
    body: z.strictObject({
      name: z.string().trim().min(1).max(80),
      contentType: z.string().regex(/^[a-z0-9.+-]+\/[a-z0-9.+-]+$/),
      content: z.base64().max(720_000),
    }),
    handle: async ({ doors, session, body: { name, contentType, content } }) => {
      const bytes = Buffer.from(content, 'base64');
      const stored = await storeData(doors.pool, { name, contentType, content: bytes, by: session.admin });
      return { url: `${doors.origins.edge}/data/${stored.id}`, size: stored.size, sha256: stored.sha256 };
    },
  }),
  route({
    method: 'GET',
    path: '/declaration-sets',
    summary: 'Sets of declarations with their scope.',
    for: 'all',
    handle: async ({ doors }) => ({ items: await listSets(doors.pool) }),
  }),
  route({
    method: 'POST',
    path: '/declaration-sets/preview',
    summary:
      'A dry run of a set: which devices come in and go, and how many would be given something else; changes nothing.',
    for: 'all',
    body: z.strictObject({
      id: uuid.nullable(),
      ...scope,
      predicate: setBody.shape.predicate.optional(),
      declarations: setBody.shape.declarations.optional(),
    }),
    handle: ({ doors, body }) => previewSet(doors.pool, body),
  }),
  route({
    method: 'POST',
    path: '/declaration-sets',
    summary: 'Makes a set what is said here: declarations, scope, predicate.',
    for: ADMIN,
    body: setBody,
    handle: ({ doors, session, body: { rings, ...set } }) =>
      tx(doors.pool, (t) => saveSet(t, { ...set, ...(rings === undefined ? {} : { rings }), by: session.admin })),
  }),
  route({
    method: 'POST',
    path: '/declaration-sets/{id}/remove',
    summary: 'Removes a set; its devices lose what only it gave them.',
    for: ADMIN,
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => {
      await removeSet(doors.pool, param('id'), session.admin);
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: '/declaration-sets/{id}/approval',
    summary: 'Asks two people to agree to the dangerous declarations of a set, for the devices that it is for now.',
    for: ADMIN,
    body: z.strictObject({ purpose, days: z.number().int().min(1).max(399).default(365) }),
    handle: async ({ doors, session, param, body }) => {
      const set = uuid.parse(param('id'));
      const document = await tx(doors.pool, async (t) => {
        const asked = await askDeclare(t, { set, requester: session.admin, ...body, now: doors.now() });
        await requestApproval(t, asked);
        return asked;
      });
      return { approval: document.id };
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{handle}/declared',
    summary: 'What is declared for a device against what it reports, and why they differ.',
    for: 'all',
    handle: async ({ doors, param }) => ({ standing: (await standingOf(doors.pool, param('handle'))) ?? null }),
  }),
];
