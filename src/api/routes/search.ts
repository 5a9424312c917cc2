import * as z from 'zod';
import { askHydrate } from '#respond';
import { SEARCHED, type Searched } from '#seal';
import { tx } from '#store';
import { ApiError } from '../error.ts';
import { purpose, route } from '../route.ts';

interface Status {
  readonly searches: readonly {
    readonly field: Searched;
    readonly hours: number;
    readonly until?: number;
    readonly known?: number;
    readonly complete?: boolean;
    readonly waiting?: number;
  }[];
}

export const searchRoutes = [
  route({
    method: 'GET',
    path: '/search',
    summary: 'What people can be searched by on glass; nothing where it is switched off.',
    for: 'all',
    handle: async ({ doors }) => {
      if (doors.search === undefined) return { items: [], next: null, total: 0 };
      const { searches } = await doors.sealer.call<Status>('search-status', {});
      const items = searches.map(({ field, hours, until, known, complete, waiting }) => ({
        ...{ field, hours, until: until === undefined ? null : new Date(until), known: known ?? null },
        ...{ complete: complete ?? false, waiting: waiting ?? 0 },
      }));
      return { items, next: null, total: items.length };
    },
  }),
  route({
    method: 'POST',
    path: '/search/openings',
    summary: 'Asks two people to open a search for some hours.',
    for: ['administrator'],
    body: z.strictObject({ field: z.enum(SEARCHED), hours: z.int().min(1).max(168), purpose }),
    handle: async ({ doors, session, body }) => {
      const most = doors.search?.[body.field]?.hours;
      if (most === undefined) throw new ApiError('off', 'This search is switched off here.', { status: 409 });
      if (body.hours > most) {
        throw new ApiError('bad-request', `This search stays open for ${most} hours at most.`, { status: 400 });
      }
      const document = await tx(doors.pool, (t) => askHydrate(t, { ...body, by: session.admin, now: doors.now() }));
      return { approval: document.id };
    },
  }),
];
