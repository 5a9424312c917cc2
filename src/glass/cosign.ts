import { type Assertion, parseAssertion, parseGrant, type RosterKey, shape, verifyAssertion } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';

const parse = shape.object({ grant: parseGrant, assertion: parseAssertion });

/** Signatures that others gave for somebody's grant, until he fetches them. In memory only: a grant lives ten minutes. */
const waiting = new Map<string, { readonly notAfter: number; readonly byAdmin: Map<string, Assertion> }>();
const MOST = 200;

/**
 * Keeps another administrator's signature over a grant that is beyond the organisation's limit of a day. What is checked here
 * keeps useless ones out; the guards check each again. Throws `not-allowed`, `busy`, SealError.
 */
export async function cosign(doors: GlassDoors, body: unknown): Promise<object> {
  const { grant, assertion } = parse(body);
  const now = doors.now();
  for (const [id, one] of waiting) if (one.notAfter < now) waiting.delete(id);
  const { keys } = await doors.ledger.call<{ keys: RosterKey[] }>('roster', {});
  const key = keys.find((one) => one.credential === assertion.credential);
  if (key === undefined || key.role !== 'administrator' || key.admin === grant.admin || grant.notAfter < now) {
    throw new GlassError('not-allowed', 'Another administrator must sign this, while it is fresh.', { status: 403 });
  }
  verifyAssertion({ assertion, document: grant, publicKey: key.publicKey, origin: doors.origins.glass });
  if (!waiting.has(grant.id) && waiting.size >= MOST) {
    throw new GlassError('busy', 'Too many requests wait for a second signature. Try again.', { status: 503 });
  }
  const one = waiting.get(grant.id) ?? { notAfter: grant.notAfter, byAdmin: new Map<string, Assertion>() };
  one.byAdmin.set(key.admin, assertion);
  waiting.set(grant.id, one);
  return { admin: key.admin };
}

/** The signatures that others gave for this grant so far. */
export function cosigned(id: string): object {
  return { others: [...(waiting.get(id)?.byAdmin.values() ?? [])] };
}
