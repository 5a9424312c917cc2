import * as z from 'zod';
import {
  commandWays,
  complianceOf,
  deleteGroup,
  deleteRule,
  desiredOf,
  drifted,
  FIELDS,
  findingsOf,
  getGroup,
  groupsOf,
  inventoryHistory,
  inventoryPlans,
  listGroups,
  listRules,
  OPS,
  PLAN_HOURS,
  previewFilter,
  saveGroup,
  saveRule,
  setInventoryPlan,
  setSilence,
  silenceRules,
  VERDICTS,
} from '#fleet';
import { tx } from '#store';
import { page, route, uuid } from '../route.ts';

const filter = z.record(z.string(), z.unknown());
const name = z.string().trim().min(1).max(80);
const groupBody = z.strictObject({ name, filter });
const ruleBody = z.strictObject({
  name,
  group: uuid.nullable(),
  condition: filter,
  graceHours: z.number().int().min(0).max(8760),
});
const ADMIN = ['administrator'] as const;

export const groupRoutes = [
  route({
    method: 'GET',
    path: '/fields',
    summary: 'The facts that filters and rules can ask about, and how.',
    for: 'all',
    handle: () => ({
      fields: Object.entries(FIELDS).map(([id, { label, type, choices }]) => ({
        ...{ id, label, type, choices: choices ?? null },
        ops: Object.entries(OPS[type]).map(([op, value]) => ({ op, value })),
      })),
    }),
  }),
  route({
    method: 'GET',
    path: '/groups',
    summary: 'Dynamic groups of devices, by name.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await listGroups(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/groups',
    summary: 'Saves a filter as a group.',
    for: ADMIN,
    body: groupBody,
    handle: ({ doors, session, body }) => tx(doors.pool, (t) => saveGroup(t, { ...body, by: session.admin })),
  }),
  route({
    method: 'POST',
    path: '/groups/preview',
    summary: 'How many devices fit a filter now, and some of them.',
    for: 'all',
    body: z.strictObject({ filter }),
    handle: ({ doors, body }) => previewFilter(doors.pool, body.filter),
  }),
  route({
    method: 'GET',
    path: '/groups/{id}',
    summary: 'One group.',
    for: 'all',
    handle: ({ doors, param }) => getGroup(doors.pool, param('id')),
  }),
  route({
    method: 'POST',
    path: '/groups/{id}',
    summary: 'Changes a group’s name and filter.',
    for: ADMIN,
    body: groupBody,
    handle: ({ doors, session, body, param }) =>
      tx(doors.pool, (t) => saveGroup(t, { ...body, id: param('id'), by: session.admin })),
  }),
  route({
    method: 'DELETE',
    path: '/groups/{id}',
    summary: 'Deletes a group; what was scoped by it is scoped by nobody.',
    for: ADMIN,
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => deleteGroup(t, { id: param('id'), by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{handle}/standing',
    summary:
      'A device’s groups, what every compliance rule says of it and why, and what it should have against what it has.',
    for: 'all',
    handle: async ({ doors, param }) => {
      const device = param('handle');
      const [groups, compliance, desired] = await Promise.all([
        groupsOf(doors.pool, device),
        complianceOf(doors.pool, device, doors.now()),
        desiredOf(doors.pool, device),
      ]);
      return { groups, compliance, desired };
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{handle}/history',
    summary: 'What a device said otherwise than before, newest first.',
    for: 'all',
    query: z.strictObject({ before: z.coerce.number().int().min(1).optional(), limit: page.limit }),
    handle: async ({ doors, param, query: { before, limit } }) => ({
      items: await inventoryHistory(doors.pool, param('handle'), {
        limit,
        ...(before === undefined ? {} : { before }),
      }),
    }),
  }),
  route({
    method: 'GET',
    path: '/devices/{handle}/ways',
    summary: 'The last commands of a device, each from the wish to the result with its waits.',
    for: 'all',
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(100).default(50) }),
    handle: async ({ doors, param, query: { limit } }) => ({
      items: await commandWays(doors.pool, param('handle'), limit),
    }),
  }),
  route({
    method: 'GET',
    path: '/inventory/plans',
    summary: 'How often devices are asked for their facts.',
    for: 'all',
    handle: async ({ doors }) => ({ items: await inventoryPlans(doors.pool) }),
  }),
  route({
    method: 'POST',
    path: '/inventory/plans',
    summary: 'Sets how often devices are asked for one kind of fact; 0 hours is never.',
    for: ADMIN,
    body: z.strictObject({ kind: z.string().min(1).max(48), hours: z.literal(PLAN_HOURS) }),
    handle: async ({ doors, session, body }) => {
      await tx(doors.pool, (t) => setInventoryPlan(t, { ...body, by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'GET',
    path: '/compliance',
    summary: 'Compliance rules with how many devices are in which state.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await listRules(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/compliance',
    summary: 'Saves a compliance rule.',
    for: ADMIN,
    body: ruleBody,
    handle: async ({ doors, session, body }) => ({
      id: await tx(doors.pool, (t) => saveRule(t, { ...body, by: session.admin })),
    }),
  }),
  route({
    method: 'POST',
    path: '/compliance/{id}',
    summary: 'Changes a compliance rule; every device is judged anew.',
    for: ADMIN,
    body: ruleBody,
    handle: async ({ doors, session, body, param }) => ({
      id: await tx(doors.pool, (t) => saveRule(t, { ...body, id: param('id'), by: session.admin })),
    }),
  }),
  route({
    method: 'DELETE',
    path: '/compliance/{id}',
    summary: 'Deletes a compliance rule.',
    for: ADMIN,
    handle: async ({ doors, session, param }) => {
      await tx(doors.pool, (t) => deleteRule(t, { id: param('id'), by: session.admin }));
      return undefined;
    },
  }),
  route({
    method: 'GET',
    path: '/compliance/{id}/devices',
    summary: 'Devices of one rule in one state, each with why.',
    for: 'all',
    query: z.strictObject({ ...page, state: z.enum(VERDICTS).default('failing') }),
    handle: async ({ doors, param, query: { state, after, limit } }) => {
      const asked = { rule: param('id'), state, limit: limit + 1, ...(after === undefined ? {} : { after }) };
      const rows = await findingsOf(doors.pool, asked, doors.now());
      const items = rows.slice(0, limit);
      return { items, next: rows.length > limit ? items.at(-1)!.device : null };
    },
  }),
  route({
    method: 'GET',
    path: '/drift',
    summary: 'What is gone, changed or unexpected on devices, newest first.',
    for: 'all',
    query: z.strictObject({ limit: page.limit }),
    handle: async ({ doors, query: { limit } }) => ({ items: await drifted(doors.pool, limit) }),
  }),
  route({
    method: 'GET',
    path: '/silence',
    summary: 'How long devices may be silent.',
    for: 'all',
    handle: async ({ doors }) => {
      const items = await silenceRules(doors.pool);
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/silence',
    summary: 'Sets how many days devices, or those of a group, may be silent.',
    for: ADMIN,
    body: z.strictObject({ group: uuid.nullable(), days: z.number().int().min(1).max(365).nullable() }),
    handle: async ({ doors, session, body }) => {
      await tx(doors.pool, (t) => setSilence(t, { ...body, by: session.admin }));
      return undefined;
    },
  }),
];
