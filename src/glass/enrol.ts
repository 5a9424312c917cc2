import { parseAssertion, parseEnrolKey, type Role, shape } from '#seal';
import type { GlassDoors } from './doors.ts';

const parse = shape.object({ enrol: parseEnrolKey, assertion: parseAssertion });

/**
 * Registers a passkey with both guards. Both accept the same request again, so a registration that stopped half-way is
 * finished by trying again. Throws GuardError.
 */
export async function enrolKey(doors: GlassDoors, body: unknown): Promise<object> {
  const request = parse(body);
  const answer = await doors.ledger.call<{ admin: string; role: Role }>('enrol-key', request);
  await doors.sealer.call('enrol-key', request);
  return { admin: answer.admin, role: answer.role };
}
