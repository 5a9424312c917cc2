import { fromBase64url } from '#base';
import { parseAssertion, parseSend, type RosterKey, shape, verifyAssertion } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';

/** What the page sealed to courier: enc 32, tag 16, and the variables of one text. */
const parse = shape.object({ message: parseSend, assertion: parseAssertion, box: shape.base64url(49, 1024) });

/**
 * Puts a touched message to one person into courier's queue. The guards judge the touch again before they open the address,
 * and only courier opens the box with what goes into the text. Throws `not-allowed`, `unknown-person`, `too-many`, SealError.
 */
export async function sendMessage(doors: GlassDoors, body: unknown): Promise<{ id: string }> {
  const { message, assertion, box } = parse(body);
  const { keys } = await doors.ledger.call<{ keys: RosterKey[] }>('roster', {});
  const key = keys.find((one) => one.credential === assertion.credential);
  if (key === undefined || key.admin !== message.admin || key.role === 'dpo') {
    throw new GlassError('not-allowed', 'This passkey may not send messages here.', { status: 403 });
  }
  verifyAssertion({ assertion, document: message, publicKey: key.publicKey, origin: doors.origins.glass });
  const { rows } = await doors.pool.query<{ state: string }>('select courier.ask($1, $2, $3) as state', [
    JSON.stringify(message),
    JSON.stringify(assertion),
    Buffer.from(fromBase64url(box)),
  ]);
  const state = rows[0]!.state;
  if (state === 'unknown-person') {
    throw new GlassError('unknown-person', 'Nobody with this handle is in the directory.', { status: 404 });
  }
  if (state === 'too-many') {
    throw new GlassError('too-many', 'Too many messages wait already. Look at their status in the console first.', {
      status: 429,
    });
  }
  return { id: message.id };
}
