import { parseAssertion, parseChange, shape } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';

const parse = shape.object({ document: parseChange, assertion: parseAssertion });

/** Takes one administrator's touch to the ledger: this change is turned away. Throws GuardError with the ledger's refusal. */
export async function cancelChange(doors: GlassDoors, body: unknown): Promise<object> {
  const { document, assertion } = parse(body);
  if (document.act !== 'cancel') {
    throw new GlassError('bad-request', 'One person turns a change away; to let one in takes two.', { status: 409 });
  }
  return doors.ledger.call('change', { document, assertions: [assertion] });
}
