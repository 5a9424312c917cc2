import * as z from 'zod';
import { askRotateKey } from '#respond';
import type { RotateKey, ThirdState } from '#seal';
import { tx } from '#store';
import type { ApiDoors } from '../doors.ts';
import { ApiError } from '../error.ts';
import { purpose, route } from '../route.ts';

interface Version {
  readonly number: number;
  readonly source: string;
  readonly grade: string;
  readonly since: number;
}

export interface SealerKeys {
  readonly state: 'open' | 'locked' | 'locked-at-boot';
  readonly current: Version;
  readonly old?: Version;
  readonly staged?: Version;
  readonly next: string;
}

/** What the sealer says of the organisation's key; null if it does not answer. */
export async function sealerKeys(doors: ApiDoors): Promise<SealerKeys | null> {
  return doors.sealer.call<{ keys: SealerKeys }>('status', {}, { timeoutMs: 3_000 }).then(
    ({ keys }) => keys,
    () => null,
  );
}

/** What the ledger says of the third lock; null if it does not answer. */
const thirdOf = (doors: ApiDoors): Promise<ThirdState | null> =>
  doors.ledger.call<ThirdState>('third', {}, { timeoutMs: 3_000 }).catch(() => null);

const shown = (version: Version | undefined) =>
  version === undefined
    ? null
    : { number: version.number, source: version.source, grade: version.grade, since: new Date(version.since) };

export const keyRoutes = [
  route({
    method: 'GET',
    path: '/keys',
    summary: 'The organisation’s key: its versions, where each lives, and how far a change has come.',
    for: 'all',
    handle: async ({ doors }) => {
      const keys = await sealerKeys(doors);
      if (keys === null)
        return { state: 'unreachable', current: null, old: null, staged: null, next: null, left: null, third: null };
      const left =
        keys.old === undefined
          ? null
          : Number(
              (await doors.pool.query<{ left: string }>('select people.rows_left($1) as left', [keys.current.number]))
                .rows[0]!.left,
            );
      const { current, old, staged, state, next } = keys;
      const known = await thirdOf(doors);
      const third =
        known === null
          ? null
          : { inForce: known.inForce !== null, proposed: known.proposed, passkeys: known.keys.length };
      return { state, current: shown(current), old: shown(old), staged: shown(staged), next, left, third };
    },
  }),
  route({
    method: 'POST',
    path: '/keys/rotations',
    summary: 'Has the sealer make the next organisation key and asks two people to put it in force.',
    for: ['administrator'],
    body: z.strictObject({
      purpose,
      third: z.optional(z.literal(true)).describe('put the third lock that was proposed on glass in force with it'),
    }),
    handle: async ({ doors, session, body }) => {
      const proposed = body.third ? (await thirdOf(doors))?.proposed : undefined;
      if (body.third && !proposed) {
        throw new ApiError('no-third-lock', 'No third lock is proposed. Make one on glass first.', { status: 409 });
      }
      const made = await doors.sealer.call<Pick<RotateKey, 'number' | 'key' | 'previous' | 'third'>>(
        'stage',
        {},
        { timeoutMs: 30_000 },
      );
      const staged = proposed ? { ...made, third: proposed.key } : made;
      const document = await tx(doors.pool, (t) =>
        askRotateKey(t, { staged, by: session.admin, purpose: body.purpose, now: doors.now() }),
      );
      return { approval: document.id, number: document.number };
    },
  }),
];
