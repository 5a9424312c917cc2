import * as z from 'zod';
import { askRoster, type RosterWish } from '#respond';
import { type Caps, credentialDigest, QUORUM_CAPS, ROLES, type RosterKey, type RosterView } from '#seal';
import { tx } from '#store';
import type { ApiDoors } from '../doors.ts';
import { ApiError } from '../error.ts';
import { admin, purpose, route } from '../route.ts';
import { rosterFindings } from './roster-findings.ts';

export type LedgerRoster = RosterView & { readonly keys: readonly RosterKey[]; readonly caps: Caps };
interface SealerStatus {
  readonly locked: readonly { readonly scope: string; readonly target: string }[];
  readonly roster: { readonly version: number; readonly digest: string; readonly stuck: number | null };
}

const STALE_MS = 90 * 86_400_000;
const SEASONED_MS = 72 * 3_600_000;
const digest = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

const caps = z.strictObject(
  Object.fromEntries(QUORUM_CAPS.map((cap) => [cap, z.number().int().min(0).max(100_000_000)])) as Record<
    (typeof QUORUM_CAPS)[number],
    z.ZodNumber
  >,
);
const wish = z.discriminatedUnion('act', [
  z.strictObject({ act: z.literal('add-key'), admin }),
  z.strictObject({ act: z.literal('remove-key'), key: digest }),
  z.strictObject({ act: z.literal('remove-admin'), admin }),
  z.strictObject({ act: z.literal('role'), admin, role: z.enum(ROLES) }),
  z.strictObject({ act: z.literal('threshold'), threshold: z.number().int().min(2).max(7) }),
  z.strictObject({ act: z.literal('caps'), caps }),
  z.strictObject({ act: z.literal('break-glass') }),
  z.strictObject({
    act: z.literal('review'),
    opening: z.uuid().toLowerCase(),
    verdict: z.enum(['proper', 'improper']),
  }),
]);

/** The ledger's roster. Throws `guards-unavailable`. */
export async function askLedgerRoster(doors: ApiDoors): Promise<LedgerRoster> {
  try {
    return await doors.ledger.call<LedgerRoster>('roster', {});
  } catch (cause) {
    throw new ApiError('guards-unavailable', 'The ledger does not answer. Try again in a moment.', {
      status: 503,
      cause,
    });
  }
}

/** When passkeys were last used for a sign-in, by their digests. */
async function signIns(doors: ApiDoors): Promise<ReadonlyMap<string, { at: number; open: number }>> {
  const { rows } = await doors.pool.query<{ credential: string; at: Date; open: number }>(
    `select credential, max(created_at) as at, count(*) filter (where ended_at is null and expires_at > now()
       and last_used_at > now() - interval '15 minutes')::int as open
     from api.session where credential is not null group by credential`,
  );
  return new Map(rows.map(({ credential, at, open }) => [credential, { at: at.getTime(), open }]));
}

/** The roster as pages show it. Throws `guards-unavailable`. */
export async function rosterNow(doors: ApiDoors) {
  const [roster, ledger, sealer, used] = await Promise.all([
    askLedgerRoster(doors),
    doors.ledger.call<{ locked: { scope: string; target: string }[] }>('status', {}),
    doors.sealer.call<SealerStatus>('status', {}, { timeoutMs: 2_000 }).catch(() => undefined),
    signIns(doors),
  ]);
  const now = doors.now();
  const locked = (scope: string, target: string) =>
    [...ledger.locked, ...(sealer?.locked ?? [])].some((lock) => lock.scope === scope && lock.target === target);
  const admins = [...Map.groupBy(roster.keys, (key) => key.admin)]
    .map(([name, own]) => ({
      admin: name,
      role: own[0]!.role,
      able: roster.able.includes(name),
      locked: locked('admin', name) || locked('role', own[0]!.role),
      keys: own.map((key) => {
        const id = credentialDigest(key.credential);
        const usedAt = Math.max(roster.seen[key.credential] ?? 0, used.get(id)?.at ?? 0);
        return {
          ...{ key: id, since: new Date(key.since), founding: key.founding, sessions: used.get(id)?.open ?? 0 },
          usedAt: usedAt === 0 ? null : new Date(usedAt),
          unused: now - Math.max(usedAt, key.since) > STALE_MS,
          newUntil: key.founding || now - key.since > SEASONED_MS ? null : new Date(key.since + SEASONED_MS),
          locked: locked('credential', id),
        };
      }),
    }))
    .sort((a, b) => a.admin.localeCompare(b.admin));
  const agree = sealer === undefined ? null : sealer.roster.digest === roster.digest && sealer.roster.stuck === null;
  const { version, threshold, raises, recovery, able } = roster;
  const quorum = Object.fromEntries(QUORUM_CAPS.map((cap) => [cap, roster.caps[cap]]));
  const breakGlass = {
    ...roster.breakGlass,
    until: dateOf(roster.breakGlass.until),
    drilledAt: dateOf(roster.breakGlass.drilledAt),
  };
  return {
    ...{ version, threshold, able, admins, agree, recovery, breakGlass, caps: quorum },
    raises: raises.map((raise) => ({ ...raise, at: new Date(raise.at), from: new Date(raise.from) })),
    findings: rosterFindings({ roster, agree, admins, now }),
  };
}

const dateOf = (time: number | null): Date | null => (time === null ? null : new Date(time));

export const rosterRoutes = [
  route({
    method: 'GET',
    path: '/roster',
    summary: 'Who may sign, with which passkeys, within which limits; what is on its way.',
    for: 'all',
    handle: ({ doors }) => rosterNow(doors),
  }),
  route({
    method: 'POST',
    path: '/roster/changes',
    summary: 'Asks the roster’s quorum to change it. Links are shown once.',
    for: ['administrator'],
    body: z.strictObject({ change: wish, purpose }),
    handle: async ({ doors, session, body }) => {
      const { version, threshold, keys } = await askLedgerRoster(doors);
      const asked = body.change;
      let wished: RosterWish;
      if (asked.act === 'remove-key') {
        const key = keys.find((one) => credentialDigest(one.credential) === asked.key);
        if (key === undefined) throw new ApiError('unknown-key', 'This passkey is not on the roster.', { status: 404 });
        wished = { act: 'remove-key', credential: key.credential };
      } else wished = asked;
      const { document, tokens } = await tx(doors.pool, (t) =>
        askRoster(t, {
          ...{ wish: wished, by: session.admin, purpose: body.purpose, now: doors.now() },
          ...{ roster: version, needs: threshold },
        }),
      );
      const links = tokens.map(({ admin: name, token }) => ({
        admin: name,
        link: `${doors.origins.glass}/#join=${token}&admin=${name}`,
      }));
      return { approval: document.id, links };
    },
  }),
];
