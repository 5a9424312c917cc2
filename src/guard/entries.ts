import { randomBytes } from 'node:crypto';
import { canonicalJson, type Json, sha256, toBase64url, uuidv7 } from '#base';

/** OCSF 1.8 class, activity and severity of the kinds that guards write; the same as in the event table. */
const KINDS = {
  'system.started': [6002, 3, 1],
  'account.key_enrolled': [3001, 1, 2],
  'account.invited': [3001, 1, 2],
  'account.refused': [3001, 99, 3],
  'roster.changed': [3001, 99, 4],
  'roster.refounded': [3001, 99, 5],
  'breakglass.registered': [3001, 1, 4],
  'breakglass.opened': [6003, 99, 6],
  'breakglass.drilled': [6003, 99, 2],
  'breakglass.reviewed': [6003, 99, 3],
  'caps.changed': [6002, 3, 4],
  'caps.raise_stopped': [6002, 3, 3],
  'command.permitted': [6003, 3, 2],
  'declaration.permitted': [6002, 3, 2],
  'approval.refused': [6003, 99, 4],
  'directory.revealed': [6005, 1, 2],
  'directory.refused': [6005, 99, 4],
  'directory.decoy': [6005, 1, 5],
  'canary.called': [6005, 99, 5],
  'message.opened': [6005, 1, 2],
  'message.refused': [6005, 99, 4],
  'directory.settled': [6005, 3, 1],
  'directory.import_permitted': [3004, 3, 2],
  'directory.erased': [6005, 4, 2],
  'change.held': [6005, 3, 2],
  'change.released': [6005, 3, 3],
  'change.cancelled': [6005, 4, 2],
  'locks.rotating': [6005, 3, 3],
  'locks.rotated': [6005, 3, 1],
  'transit.renewed': [6002, 3, 2],
  'transit.destroyed': [6002, 4, 2],
  'write.refused': [6005, 99, 4],
  'writers.pinned': [6002, 3, 3],
  'directory.export_begun': [6005, 99, 5],
  'directory.exported': [6005, 1, 4],
  'directory.export_done': [6005, 99, 4],
  'search.hydrated': [6005, 99, 4],
  'search.dehydrated': [6005, 99, 2],
  'search.opened': [6005, 1, 3],
  'search.evaluated': [6005, 1, 2],
  'directory.searched': [6005, 1, 2],
  'lock.on': [7001, 1, 4],
  'lock.off': [7001, 3, 3],
  'key.promoted': [6002, 3, 4],
  'key.resealing': [6005, 3, 2],
  'key.retired': [6002, 4, 3],
  'third.key_pinned': [3001, 1, 3],
  'third.proposed': [6002, 1, 4],
  'third.shared': [6002, 3, 4],
  'log.trouble': [6002, 99, 5],
  'recovery.pinned': [6002, 3, 3],
  'log.restored': [6002, 99, 5],
} as const;

export type Kind = keyof typeof KINDS;
export const REFUSAL_KINDS = ['directory.refused', 'approval.refused', 'account.refused', 'message.refused'] as const;

export type Detail = { readonly [key: string]: Json };

/** What a guard has to say; handles, counts and codes only. */
export interface Statement {
  readonly kind: Kind;
  readonly actor: string | null;
  readonly subject?: string;
  readonly detail: Detail;
}

/** A guard's own entry as the journal keeps it and `tail` hands it out. */
export interface OwnEntry {
  readonly uid: string;
  readonly time: number;
  readonly kind: Kind;
  readonly actor: string | null;
  readonly subject?: string;
  readonly detail: Detail;
  readonly salt: string;
  readonly body: Detail;
}

/** The public part: what is hashed into the log. */
export interface Leaf {
  readonly v: 1;
  readonly src: 'core' | 'guard';
  readonly n: number;
  readonly uid: string;
  readonly time: number;
  readonly type_uid: number;
  readonly actor: string | null;
  readonly digest: string;
}

/** Makes the entry and its leaf. `digest` = base64url SHA-256(salt ‖ canonical body). */
export function makeEntry(statement: Statement, n: number, time: number): { entry: OwnEntry; leaf: Leaf } {
  const { kind, actor, subject, detail } = statement;
  const [classUid, activityId, severityId] = KINDS[kind];
  const uid = uuidv7(time);
  const typeUid = classUid * 100 + activityId;
  const about = subject === undefined ? {} : { subject };
  const body: Detail = {
    metadata: { uid, version: '1.8.0', log_name: kind, product: { name: 'Bartizan', vendor_name: 'Bartizan' } },
    time,
    class_uid: classUid,
    category_uid: Math.floor(classUid / 1000),
    activity_id: activityId,
    type_uid: typeUid,
    severity_id: severityId,
    ...(actor === null ? {} : { actor: { user: { uid: actor } } }),
    unmapped: { ...detail, ...about, kind, source: 'guard' },
  };
  const salt = randomBytes(32);
  const digest = toBase64url(sha256(salt, canonicalJson(body)));
  return {
    entry: { uid, time, kind, actor, ...about, detail, salt: toBase64url(salt), body },
    leaf: { v: 1, src: 'guard', n, uid, time, type_uid: typeUid, actor, digest },
  };
}

/** A leaf's bytes: what the log's tree hashes and its public files hold. */
export function encodeLeaf(leaf: Leaf): Buffer {
  return Buffer.from(canonicalJson(leaf as unknown as Json));
}

/** Whom an entry is about: the handles that it names as its subjects. */
export function subjectsOf({ subject, detail }: OwnEntry): readonly string[] {
  const many = detail['subjects'];
  if (Array.isArray(many)) return many.filter((one) => typeof one === 'string');
  return subject === undefined ? [] : [subject];
}
