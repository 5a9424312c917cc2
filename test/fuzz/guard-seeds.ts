import {
  type DoorTable,
  LEDGER_CALLERS,
  ledgerDoors,
  ledgerSearchDoors,
  SEALER_CALLERS,
  sealerDoors,
  sealerSearchDoors,
} from '#guard';
import { FIELDS, LOCK_SCOPES, ROLES, SealError, type Shape, WRITERS } from '#seal';

/** Both guards' tables, search included. Nothing is handled: the handlers' guards are not there. */
export const TABLES = {
  sealer: {
    callers: SEALER_CALLERS,
    doors: { ...sealerDoors(none()), ...sealerSearchDoors(none()) } as DoorTable<string>,
  },
  ledger: {
    callers: LEDGER_CALLERS,
    doors: { ...ledgerDoors(none()), ...ledgerSearchDoors(none()) } as DoorTable<string>,
  },
} as const;
export type GuardName = keyof typeof TABLES;

function none<T>(): T {
  return {} as T;
}

const bytes = (n: number, fill = 7) => Buffer.alloc(n, fill).toString('base64url');
const OPS = [
  ...[
    'reveal',
    'command',
    'declare',
    'unlock',
    'invite',
    'enrol-key',
    'sign-in',
    'leave',
    'import',
    'rotate-key',
    'search',
  ],
  ...[
    'hydrate',
    'dehydrate',
    'roster-change',
    'lock-now',
    'cancel-raise',
    'break-glass',
    'refound',
    'rotate-locks',
    'change',
  ],
  ...[
    'roster',
    'lock',
    'add-key',
    'role',
    'threshold',
    'caps',
    'review',
    'release',
    'cancel',
    'begin',
    'send',
    'org-key',
    'lock-key',
    'third-lock',
    'make',
  ],
];
/** What a member of some message may be. Small ones first: the first that the shape takes is kept. */
const CANDIDATES: readonly unknown[] = [
  ...[0, 1, 2, 40, 1_800_000_000_000, null, true, {}, [], [{}], [{}, {}], [{}, {}, {}], ['amber-otter-1001'], [0]],
  ...['', 'x', 'everyone', 'administrator', 'amber-otter-1001', 'admin-ada', 'EraseDevice', 'a reason of its own'],
  ...['01a21105-bf60-7661-b914-6a91e3760bce', 'http://localhost:8440', 'glass', 'account.refused', 'directory.refused'],
  ...[...FIELDS, ...LOCK_SCOPES, ...ROLES, ...WRITERS, ...OPS],
  ...[144, 16, 32, 37, 44, 64, 70, 80, 91, 128, 176, 192, 204, 224, 6192, 6220, 6240].map((n) => bytes(n)),
];

/** Members whose readers do not say where they stand. */
const TRICKY: readonly (readonly [Path, unknown])[] = [
  [['leaves', '[]', 'actor'], null],
  [['admin'], null],
  [['detail'], { code: 'refused' }],
  [['full'], true],
];

type Path = readonly string[];
const pathOf = (error: unknown): Path | undefined => {
  if (!(error instanceof SealError)) return undefined;
  const where = /wrong shape at (.*)\.$/.exec(error.message)?.[1];
  if (where === undefined || where.endsWith('?')) return undefined;
  return where === 'its top' ? [] : (where.match(/\.[^.[]+|\[\]/g) ?? []).map((part) => part.replace(/^\./, ''));
};

function put(target: unknown, path: Path, value: unknown): void {
  const [first, ...rest] = path;
  if (first === '[]') {
    if (!Array.isArray(target)) return;
    for (const [i, one] of target.entries()) {
      if (rest.length === 0) target[i] = structuredClone(value);
      else put(one, rest, value);
    }
    return;
  }
  const own = target as Record<string, unknown>;
  if (first === undefined || typeof own !== 'object' || own === null) return;
  if (rest.length === 0) own[first] = structuredClone(value);
  else put(own[first], rest, value);
}

/**
 * A body that a door takes, found by asking it: the shape says which member is wrong, and what is tried there is kept once it
 * complains about something else. Undefined if it wants more than that.
 */
export function bodyFor(parse: Shape<unknown>, dice: { below(n: number): number }): unknown {
  let body: unknown = {};
  // The first part of a path is the message's type, as the door is told it.
  const ask = (one: unknown): Path | 'taken' | undefined => {
    try {
      parse(one, '');
      return 'taken';
    } catch (error) {
      return pathOf(error);
    }
  };
  for (let step = 0; step < 200; step += 1) {
    const wrong = ask(body);
    if (wrong === 'taken') return body;
    if (wrong === undefined) return undefined;
    if (wrong.length === 0) {
      const next = TRICKY.map(([path, value]) => {
        const one = structuredClone(body);
        put(one, path, value);
        return one;
      }).find((one) => ask(one) === 'taken' || (ask(one) ?? []).length > 0);
      if (next === undefined) return undefined;
      body = next;
      continue;
    }
    const start = dice.below(2) === 0 ? 0 : dice.below(CANDIDATES.length);
    const key = wrong.join('/');
    let moved = false;
    for (let n = 0; n < CANDIDATES.length && !moved; n += 1) {
      const next = structuredClone(body);
      put(next, wrong, CANDIDATES[(start + n) % CANDIDATES.length]);
      const then = ask(next);
      // Further on, or inside; the same place or one above it is no progress.
      if (then === 'taken' || (then !== undefined && then.join('/') !== key && !key.startsWith(`${then.join('/')}/`))) {
        body = next;
        moved = true;
      }
    }
    if (!moved) return undefined;
  }
  return undefined;
}
