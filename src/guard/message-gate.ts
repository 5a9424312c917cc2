import { canonicalJson, type Json, sha256, toBase64url } from '#base';
import { type Assertion, CHANNEL_FIELD, type Ordered, type SealedRow, verifyAutoSend } from '#seal';
import { type Gate, REFUSED, Refusal } from './gate.ts';
import type { Lane, Opening } from './message-book.ts';
import type { Effect } from './state.ts';
import { HOUR } from './time.ts';

/** How long a message may wait for its gateway. */
const MESSAGE_LIFE = 24 * HOUR;

const LANE: { readonly [op in Ordered['op']]: Lane } = { send: 'single', notice: 'notice', 'auto-send': 'auto' };

export interface Judged {
  /** Who is behind it: an admin's handle, or the rule's process. */
  readonly actor: string;
  readonly effects: readonly Effect[];
}

export const orderedHash = (message: Ordered): string => toBase64url(sha256(canonicalJson(message as unknown as Json)));

/**
 * May these people's addresses be opened to courier for this message? Courier is believed nothing: a single message shows
 * the touch of whoever sends it, a notice two people's signatures, a rule's message core's. Decides synchronously; the
 * caller applies the effects before it awaits anything. Throws Refusal.
 */
export function judgeMessage(
  gate: Gate,
  coreKey: string | undefined,
  message: Ordered,
  assertions: readonly Assertion[],
  rows: readonly SealedRow[],
): Judged {
  const now = gate.time.now();
  if (gate.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
  if (message.notAfter <= now) throw new Refusal('expired', 'This message has expired. Ask for it anew.');
  if (message.notAfter > now + MESSAGE_LIFE) throw new Refusal('refused', 'This message is valid for too long.');
  const sha256 = orderedHash(message);
  const { actor, effects } = authority(gate, coreKey, message, assertions);
  const subjects = rows.map((row) => row.subject);
  const whom = new Set(message.op === 'notice' ? message.subjects : [message.subject]);
  const field = CHANNEL_FIELD[message.channel];
  if (rows.length === 0 || !rows.every((row) => row.field === field && whom.delete(row.subject))) {
    throw new Refusal('refused', REFUSED, actor);
  }
  const opening: Opening = {
    ...{ lane: LANE[message.op], id: message.id, sha256, notAfter: message.notAfter, subjects },
    at: gate.time.metered(),
  };
  const no = gate.state.messages.refusal(opening);
  if (no === 'used') throw new Refusal('used', 'This message was sent before.', actor);
  if (no !== undefined) throw new Refusal('cap', 'The limit of messages is reached.', actor, no);
  return { actor, effects: [...effects, { e: 'message', opening }] };
}

function authority(
  gate: Gate,
  coreKey: string | undefined,
  message: Ordered,
  assertions: readonly Assertion[],
): Judged {
  if (message.op === 'auto-send') {
    if (coreKey === undefined || assertions.length > 0 || !verifyAutoSend(coreKey, message)) {
      throw new Refusal('refused', REFUSED);
    }
    return { actor: 'core', effects: [] };
  }
  if (message.op === 'send') {
    const [assertion, ...more] = assertions;
    if (assertion === undefined || more.length > 0) throw new Refusal('refused', REFUSED);
    const key = gate.signer(message, assertion);
    if (key.admin !== message.admin) throw new Refusal('refused', REFUSED, key.admin);
    if (key.role === 'dpo') throw new Refusal('refused', 'This role sends no messages.', key.admin);
    gate.mustBeOpen(key, message.id);
    return { actor: key.admin, effects: gate.touched([assertion]) };
  }
  // Part by part, each time with both signatures: what the other guard says was accepted before is believed by neither.
  const { effects } = gate.approve(message, assertions, { again: gate.seen(message) });
  return { actor: message.requester, effects };
}
