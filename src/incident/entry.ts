import { canonicalJson, fromBase64url, type Json, sha256, toBase64url } from '#base';
import { type Checkpoint, leafHash, verifyInclusion } from '#proof';

/** A guard's own entry as the ledger hands it out for an exposure report. */
export interface LedgerEntry {
  readonly leaf: number;
  readonly kind: string;
  /** The leaf as it stands in the log: canonical JSON, or the object of it. */
  readonly envelope: Json;
  readonly body: { readonly [key: string]: Json };
  readonly salt: string;
  readonly proof: readonly string[];
}

/** What an entry says, and whether the log says the same. */
export interface CheckedEntry {
  readonly leaf: number;
  readonly kind: string;
  readonly time: number;
  readonly admin: string;
  readonly grant: string;
  readonly field: string;
  readonly purpose: string;
  readonly subjects: readonly string[];
  readonly proof: readonly string[];
  /** Digest re-derived from body and salt, and inclusion proven against the checkpoint. */
  readonly verified: boolean;
}

/** Re-derives an entry's digest from its body and proves its inclusion. Never throws for a bad entry: it is unverified. */
export function checkEntry(entry: LedgerEntry, checkpoint: Checkpoint): CheckedEntry {
  const detail = (entry.body['unmapped'] ?? {}) as { readonly [key: string]: Json };
  const text = (value: Json | undefined) => (typeof value === 'string' ? value : '');
  const actor = entry.body['actor'] as { user?: { uid?: Json } } | undefined;
  return {
    leaf: entry.leaf,
    kind: entry.kind,
    time: Number(entry.body['time']),
    admin: text(actor?.user?.uid),
    grant: text(detail['grant']),
    field: text(detail['field']),
    purpose: text(detail['purpose']),
    subjects: Array.isArray(detail['subjects']) ? (detail['subjects'] as string[]) : [],
    proof: entry.proof,
    verified: isProven(entry, checkpoint),
  };
}

function isProven(entry: LedgerEntry, checkpoint: Checkpoint): boolean {
  try {
    const envelope = (typeof entry.envelope === 'string' ? JSON.parse(entry.envelope) : entry.envelope) as {
      digest?: Json;
    };
    const digest = toBase64url(sha256(fromBase64url(entry.salt), canonicalJson(entry.body)));
    if (envelope.digest !== digest) return false;
    const leaf = leafHash(Buffer.from(canonicalJson(envelope as Json)));
    return verifyInclusion(leaf, entry.leaf, checkpoint.size, checkpoint.root, entry.proof.map(fromBase64url));
  } catch {
    return false;
  }
}
