import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { fromBase64url, newToken, sha256, toBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import {
  type Assertion,
  credentialDigest,
  GuardError,
  type Role,
  type RosterKey,
  SealError,
  type SignIn,
  verifyAssertion,
} from '#seal';
import { type Pool, tx } from '#store';
import type { ApiDoors } from './doors.ts';
import { ApiError } from './error.ts';
import { sessionKey, sessionKeyDigest } from './proof.ts';

export interface Session {
  readonly id: string;
  readonly admin: string;
  readonly role: Role;
  readonly expiresAt: Date;
  /** The key that only the browser holds which signed in: SPKI, base64url. */
  readonly boundKey: string;
  /** How events name that key. */
  readonly boundDigest: string;
}

const CHALLENGE_TTL_MS = 5 * 60_000;
const LONGEST_MS = 8 * 3_600_000;
/** A session that is not used for so long is over. */
const IDLE_MINUTES = 15;
const MOST_SESSIONS = 3;

/** Challenges carry their own proof, so that whoever asks for a million of them fills nothing. */
const challengeKey = randomBytes(32);
const proofOf = (random: Uint8Array, notAfter: number, console: string): Buffer =>
  createHmac('sha256', challengeKey).update(random).update(`|${notAfter}|${console}`).digest().subarray(0, 16);

/**
 * A document to sign in with: signed on glass by one touch, good for five minutes, once, and for the browser whose key it
 * names.
 */
export function newChallenge(doors: Pick<ApiDoors, 'origins' | 'now'>, spki: string): SignIn {
  sessionKey(spki);
  const notAfter = doors.now() + CHALLENGE_TTL_MS;
  const random = randomBytes(16);
  const nonce = toBase64url(Buffer.concat([random, proofOf(random, notAfter, doors.origins.console)]));
  return { v: 1, op: 'sign-in', nonce, console: doors.origins.console, key: sessionKeyDigest(spki), notAfter };
}

function isOurs(document: SignIn, doors: Pick<ApiDoors, 'origins' | 'now'>): boolean {
  const nonce = fromBase64url(document.nonce);
  if (nonce.length !== 32 || document.console !== doors.origins.console) return false;
  return timingSafeEqual(nonce.subarray(16), proofOf(nonce.subarray(0, 16), document.notAfter, document.console));
}

/**
 * Signs in with a touched document. Returns the new session's token, which is kept as a hash only. Throws `sign-in-refused`
 * (with an event that names the reason) or `guards-unavailable`: without the ledger nobody signs in.
 */
export async function signIn(
  doors: ApiDoors,
  signed: { readonly document: SignIn; readonly assertion: Assertion; readonly key: string },
): Promise<{ session: Session; token: string }> {
  const { document, assertion, key: spki } = signed;
  const now = doors.now();
  const refuse = async (reason: string, admin: string | null = null): Promise<never> => {
    await emit(doors.pool, { kind: 'auth.sign_in_refused', actor: admin, detail: { reason } });
    throw new ApiError('sign-in-refused', 'You were not signed in. Start again from the console.', { status: 403 });
  };
  if (!isOurs(document, doors)) return refuse('challenge');
  if (document.notAfter <= now) return refuse('expired');
  // What was signed for one browser signs no other in.
  sessionKey(spki);
  if (sessionKeyDigest(spki) !== document.key) return refuse('other-browser');
  const { roster, locked } = await askLedger(doors);
  const key = roster.find((one) => one.credential === assertion.credential);
  if (key === undefined) return refuse('unknown-key');
  try {
    verifyAssertion({ assertion, document, publicKey: key.publicKey, origin: doors.origins.glass });
  } catch (error) {
    if (error instanceof SealError) return refuse('assertion', key.admin);
    throw error;
  }
  if (locked.some((lock) => lock.scope === 'admin' && lock.target === key.admin)) return refuse('locked', key.admin);
  const token = newToken();
  const session: Session = {
    id: uuidv7(now),
    admin: key.admin,
    role: key.role,
    expiresAt: new Date(now + LONGEST_MS),
    boundKey: spki,
    boundDigest: document.key,
  };
  const fresh = await tx(doors.pool, async (t) => {
    // One insert decides who used the challenge, however many ask at once.
    const { rowCount } = await t.query(
      `insert into api.challenge (nonce, expires_at, used_at) values ($1, to_timestamp($2::double precision / 1000), now())
       on conflict do nothing`,
      [document.nonce, document.notAfter],
    );
    if (!rowCount) return false;
    await t.query('select pg_advisory_xact_lock(hashtext($1))', [`session ${key.admin}`]);
    await t.query(
      `update api.session set ended_at = now(), ended_by = 'too many sessions' where ended_at is null and id in (
         select id from api.session where admin = $1 and ended_at is null order by created_at desc offset $2)`,
      [key.admin, MOST_SESSIONS - 1],
    );
    await t.query(
      `insert into api.session (token_sha256, id, admin, role, expires_at, credential, bound_key) values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        ...[sha256(token), session.id, session.admin, session.role, session.expiresAt],
        credentialDigest(key.credential),
        spki,
      ],
    );
    await emit(t, { kind: 'auth.sign_in', actor: key.admin, detail: { session: session.id, key: document.key } });
    return true;
  });
  return fresh ? { session, token } : refuse('replayed', key.admin);
}

async function askLedger(doors: ApiDoors) {
  try {
    const [{ keys }, { locked }] = await Promise.all([
      doors.ledger.call<{ keys: RosterKey[] }>('roster', {}),
      doors.ledger.call<{ locked: { scope: string; target: string }[] }>('status', {}),
    ]);
    return { roster: keys, locked };
  } catch (cause) {
    if (!(cause instanceof GuardError)) throw cause;
    throw new ApiError(
      'guards-unavailable',
      'The guards do not answer, and nobody signs in without them. Try again in a moment; phones are managed meanwhile.',
      { status: 503, cause },
    );
  }
}

/** The session of a token, or undefined if it has ended, expired or been idle for too long. Marks it as used. */
export async function sessionOf(pool: Pool, token: string): Promise<Session | undefined> {
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return undefined;
  const { rows } = await pool.query<Session & { stale: boolean }>(
    `select id, admin, role, expires_at as "expiresAt", bound_key as "boundKey", last_used_at < now() - interval '30 seconds' as stale
     from api.session where token_sha256 = $1 and bound_key is not null and ended_at is null and expires_at > now()
       and last_used_at > now() - $2 * interval '1 minute'`,
    [sha256(token), IDLE_MINUTES],
  );
  if (rows[0] === undefined) return undefined;
  const { stale, ...session } = rows[0];
  if (stale) await pool.query('update api.session set last_used_at = now() where id = $1', [session.id]);
  return { ...session, boundDigest: sessionKeyDigest(session.boundKey) };
}

/** Ends a session; ending it twice is fine. */
export async function endSession(pool: Pool, session: Session): Promise<void> {
  await tx(pool, async (t) => {
    const { rowCount } = await t.query(
      `update api.session set ended_at = now(), ended_by = 'signed out' where id = $1 and ended_at is null`,
      [session.id],
    );
    if (rowCount) await emit(t, { kind: 'auth.sign_out', actor: session.admin, detail: { session: session.id } });
  });
}
