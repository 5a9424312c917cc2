import * as z from 'zod';
import { devicesOf } from '#fleet';
import { listPeople } from '#people';
import { page, paged, route, search } from '../route.ts';

export const peopleRoutes = [
  route({
    method: 'GET',
    path: '/people',
    summary: 'People by handle. Names and numbers open on glass only.',
    for: 'all',
    query: z.strictObject({ ...page, q: search }),
    handle: async ({ doors, query: { q, after, limit } }) => {
      const { people, total } = await listPeople(doors.pool, {
        ...(q === undefined ? {} : { text: q }),
        ...(after === undefined ? {} : { after }),
        limit: limit + 1,
      });
      const devices = await devicesOf(
        doors.pool,
        people.map((person) => person.handle),
      );
      const rows = people.map((person) => ({ ...person, devices: devices.get(person.handle) ?? [] }));
      return paged(rows, limit, total, (person) => person.handle);
    },
  }),
];
