import type { KeyObject } from 'node:crypto';
import { canonicalJson, fromBase64url, type Json, Sealed } from '#base';
import {
  type Assertion,
  CHANNEL_FIELD,
  type GuardClient,
  hpkeOpen,
  type MessageText,
  type Ordered,
  type Receipt,
  renderMessage,
  type SealedRow,
  textHash,
  type Variables,
  verifyReceipt,
} from '#seal';
import type { Taken } from './queue.ts';

const ADDRESS_INFO = 'bartizan courier v1';
const BOX_INFO = 'bartizan message v1';

/** What the guards opened for one message, on its short way out. */
export interface Opened {
  readonly addresses: ReadonlyMap<string, Sealed<string>>;
  /** Nothing may be sent to these, and nobody may see that. */
  readonly silent: ReadonlySet<string>;
}

/** Asks the guards for the addresses of these rows. Throws GuardError with their refusal. */
export async function openAddresses(
  doors: { readonly sealer: GuardClient; readonly key: KeyObject; readonly ledgerKey: string },
  message: Ordered,
  assertions: readonly Assertion[],
  rows: readonly SealedRow[],
): Promise<Opened> {
  const { enc, ct, receipt } = await doors.sealer.call<{ enc: string; ct: string; receipt: Receipt }>(
    'message',
    { message, assertions, rows },
    { timeoutMs: 15_000 },
  );
  if (!verifyReceipt(doors.ledgerKey, receipt)) throw new Error('the answer came without the ledger’s receipt');
  const sealed = Buffer.concat([fromBase64url(enc), fromBase64url(ct)]);
  const aad = Buffer.from(canonicalJson(receipt as unknown as Json));
  const plaintext = hpkeOpen(doors.key, sealed, { info: ADDRESS_INFO, aad });
  const { values, silent } = JSON.parse(plaintext.toString('utf8')) as {
    values: Record<string, string>;
    silent: string[];
  };
  plaintext.fill(0);
  return {
    addresses: new Map(Object.entries(values).map(([subject, value]) => [subject, new Sealed(value)])),
    silent: new Set(silent),
  };
}

export function rowOf(taken: Taken): SealedRow | undefined {
  if (taken.row === null || taken.version === null) return undefined;
  const { subject } = taken;
  const row = taken.row.toString('base64url');
  return { subject, field: CHANNEL_FIELD[taken.channel], version: Number(taken.version), row };
}

/** The text that was signed, or undefined if these variables do not make it. */
export function textOf(message: Ordered, organisation: string, variables: Variables): MessageText | undefined {
  const rendered = renderMessage(message.topic, organisation, variables);
  return rendered === undefined || textHash(rendered) !== message.text ? undefined : rendered;
}

/** Variables of a single message, as the page sealed them to courier. Throws SealError `open-failed`. */
export function openBox(key: KeyObject, box: Uint8Array, id: string): Variables {
  const plaintext = hpkeOpen(key, box, { info: BOX_INFO, aad: Buffer.from(id) });
  try {
    const value: unknown = JSON.parse(plaintext.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Variables) : {};
  } catch {
    return {};
  } finally {
    plaintext.fill(0);
  }
}
