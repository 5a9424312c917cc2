import { canonicalJson, fromBase64url, type Json, toBase64url } from '#base';
import {
  type Assertion,
  CHANNEL_FIELD,
  type GuardClient,
  GuardError,
  hpkeSeal,
  type Ordered,
  SealError,
  type SealedRow,
  unpadValue,
} from '#seal';
import { readMessage } from './believed.ts';
import { judgeMessage, orderedHash } from './message-gate.ts';
import { messageDetail } from './messages.ts';
import type { OrgKeys } from './org-keys.ts';
import type { Sealer } from './sealer.ts';

const MESSAGE_INFO = 'bartizan courier v1';

/** The sealer's half of a message: judge, charge, have the ledger judge and record, and seal the addresses to courier's key. */
export class SealerMessages {
  readonly #options: {
    readonly org: string;
    readonly ledger: GuardClient;
    readonly ledgerKey: string;
    readonly courierKey?: string;
    readonly coreKey?: string;
    readonly sealer: Sealer;
    readonly keys: OrgKeys;
  };

  /** `courierKey`: raw X25519, without which no message is sent; `coreKey`: Ed25519 SPKI, without which no rule sends any. */
  constructor(options: {
    readonly org: string;
    readonly ledger: GuardClient;
    readonly ledgerKey: string;
    readonly courierKey?: string;
    readonly coreKey?: string;
    readonly sealer: Sealer;
    readonly keys: OrgKeys;
  }) {
    this.#options = options;
  }

  /** The addresses of these rows for one message, and who of them must not be written to. Throws GuardError. */
  async open(message: Ordered, assertions: readonly Assertion[], rows: readonly SealedRow[]) {
    const { courierKey, coreKey, sealer, ledger, ledgerKey, keys, org } = this.#options;
    if (courierKey === undefined) throw new GuardError('unavailable', 'This installation has no courier.');
    keys.mustHaveNoThird();
    // Nothing is opened before the day's charges are known.
    await sealer.sync().catch(() => {
      throw new GuardError('unavailable', 'The ledger cannot be asked. Nothing is opened without it.');
    });
    const { gate } = sealer;
    if (!gate.state.locked('directory')) keys.mustBeOpen();
    let judged: ReturnType<typeof judgeMessage>;
    try {
      judged = judgeMessage(gate, coreKey, message, assertions, rows);
    } catch (error) {
      return sealer.refuse('message.refused', error, messageDetail(message, rows.length));
    }
    gate.state.apply(judged.effects);
    const field = CHANNEL_FIELD[message.channel];
    const whom = rows.map((row) => row.subject);
    const { inner, receipt, silent } = readMessage(
      await ledger.call('message', { message, assertions, rows }),
      { id: message.id, sha256: orderedHash(message), subjects: whom },
      ledgerKey,
    );
    const versions = new Map(rows.map((row) => [row.subject, row.version]));
    const known = inner.map(({ subject, inner: layer }) => ({
      ...{ inner: fromBase64url(layer), label: { org, subject, field, version: versions.get(subject)! } },
    }));
    const values: { [subject: string]: string } = {};
    for (const [i, opened] of (await keys.open(known)).entries()) {
      if (opened === undefined) continue;
      try {
        values[known[i]!.label.subject] = unpadValue(opened.padded, field);
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
      }
      opened.padded.fill(0);
    }
    const plaintext = Buffer.from(canonicalJson({ values, silent }));
    const aad = Buffer.from(canonicalJson(receipt as unknown as Json));
    const sealed = hpkeSeal(fromBase64url(courierKey), plaintext, { info: MESSAGE_INFO, aad });
    plaintext.fill(0);
    return { enc: toBase64url(sealed.subarray(0, 32)), ct: toBase64url(sealed.subarray(32)), receipt };
  }
}
