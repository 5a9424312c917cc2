import * as z from 'zod';
import {
  cancelRetirement,
  evidenceMarkdown,
  getRetirement,
  listRetirements,
  RETIRE_WAYS,
  requestRetirement,
  retireEvidence,
} from '#fleet';
import { requestApproval } from '#respond';
import { tx } from '#store';
import { handle, page, purpose, route, uuid } from '../route.ts';

const ADMIN = ['administrator'] as const;

export const retirementRoutes = [
  route({
    method: 'GET',
    path: '/retirements',
    summary: 'Devices that leave or have left, newest first.',
    for: 'all',
    query: z.strictObject({
      ...{ after: uuid.optional(), limit: page.limit, device: handle.optional() },
      open: z.enum(['true', 'false']).default('false'),
    }),
    handle: async ({ doors, query: { after, limit, device, open } }) => {
      const rows = await listRetirements(doors.pool, {
        ...{ limit: limit + 1, open: open === 'true' },
        ...(after === undefined ? {} : { before: after }),
        ...(device === undefined ? {} : { device }),
      });
      const items = rows.slice(0, limit);
      return { items, next: rows.length > limit ? items.at(-1)!.id : null };
    },
  }),
  route({
    method: 'POST',
    path: '/retirements',
    summary: 'Asks for devices to leave: unenrol, erase (two people) or forget.',
    for: ADMIN,
    body: z.strictObject({ devices: z.array(handle).min(1).max(100), way: z.enum(RETIRE_WAYS), purpose }),
    handle: ({ doors, session, body }) =>
      tx(doors.pool, async (t) => {
        const made = await requestRetirement(t, { ...body, requester: session.admin, now: doors.now() });
        if (made.approval !== undefined) await requestApproval(t, made.approval);
        return { ids: made.ids, approval: made.approval?.id ?? null };
      }),
  }),
  route({
    method: 'GET',
    path: '/retirements/{id}',
    summary: 'One retirement: where it stands, why, and what comes next.',
    for: 'all',
    handle: ({ doors, param }) => getRetirement(doors.pool, param('id')),
  }),
  route({
    method: 'POST',
    path: '/retirements/{id}/cancel',
    summary: 'Takes a retirement back while no device has fetched its command.',
    for: ADMIN,
    body: z.strictObject({}),
    handle: async ({ doors, session, param }) => ({
      cancelled: await tx(doors.pool, (t) => cancelRetirement(t, { id: param('id'), by: session.admin })),
    }),
  }),
  route({
    method: 'GET',
    path: '/retirements/evidence/{file}',
    summary: 'The evidence record, as JSON or Markdown.',
    for: 'all',
    handle: async ({ doors, context, param }) => {
      const [id, form] = param('file').split('.') as [string, string];
      const evidence = await retireEvidence(doors.pool, id);
      context.header('Content-Disposition', `attachment; filename="retirement-${id}.${form}"`);
      if (form === 'json') return context.json(evidence);
      return context.body(evidenceMarkdown(evidence), 200, { 'Content-Type': 'text/markdown; charset=utf-8' });
    },
  }),
];
