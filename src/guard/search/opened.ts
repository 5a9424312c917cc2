import { setImmediate as breathe } from 'node:timers/promises';
import { fromBase64url } from '#base';
import { type Field, type GuardClient, paddedBytes, type RowLabel, type SealedRow } from '#seal';

/** A value that was opened for a search or an export. Bytes, as strings cannot be wiped: `wipe` when it was used. */
export interface Opened {
  readonly subject: string;
  readonly version: number;
  readonly value: Buffer;
  wipe(): void;
}

/** Opens inner layers, in order; undefined for what does not open. */
export type OpenInner = (
  rows: readonly { readonly inner: Uint8Array; readonly label: RowLabel }[],
) => Promise<readonly ({ readonly padded: Buffer } | undefined)[]>;

/** How many are opened before others get their turn. */
const PART = 16;

/** Has the ledger take its layer off these rows, and opens ours. Fills `into`, so that the caller can wipe what there is. */
export async function openRows(
  given: {
    readonly org: string;
    readonly ledger: GuardClient;
    readonly openInner: OpenInner;
    readonly field: Field;
    readonly rows: readonly SealedRow[];
    /** The ledger's door; a search's, if nothing is said. */
    readonly via?: { readonly type: string; readonly body: object };
  },
  into: Opened[],
): Promise<void> {
  const { org, ledger, openInner, field, rows, via = { type: 'hydrate-open', body: {} } } = given;
  const { inner } = await ledger.call<{ inner: { subject: string; version: number; inner: string }[] }>(
    ...([via.type, { ...via.body, field, rows }, { timeoutMs: 30_000 }] as const),
  );
  const asked = new Set(rows.map(({ subject, version }) => `${subject}:${version}`));
  const known = inner.filter(({ subject, version }) => asked.has(`${subject}:${version}`));
  for (let at = 0; at < known.length; at += PART) {
    const part = known.slice(at, at + PART).map(({ subject, version, inner: layer }) => ({
      ...{ inner: fromBase64url(layer), label: { org, subject, field, version } },
    }));
    for (const [i, one] of (await openInner(part)).entries()) {
      // A row that somebody else sealed badly must not hide the others.
      if (one === undefined) continue;
      const { padded } = one;
      const length = padded.length === paddedBytes(field) ? padded.readUInt16BE(0) : padded.length;
      if (length > padded.length - 2) continue;
      const { subject, version } = part[i]!.label;
      into.push({ subject, version, value: padded.subarray(2, 2 + length), wipe: () => padded.fill(0) });
    }
    await breathe();
  }
}
