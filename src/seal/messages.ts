/**
 * What people sign and what the guards are asked. Every signed document has its own `op`, so a touch given for one
 * purpose is worthless for any other. The WebAuthn challenge of a document is SHA-256 of its canonical JSON.
 * All times are milliseconds since the Unix epoch, all bytes unpadded base64url.
 */

import type { Export } from './export.ts';
import type { Notice, Send } from './notices.ts';
import type { BreakGlass, CancelRaise, LockNow, Refound, RosterChange } from './roster.ts';
import type { Dehydrate, Hydrate, Search } from './search-types.ts';
import type { LockKey, ThirdLock } from './third-types.ts';

export const FIELDS = [
  ...(['name', 'number', 'email', 'device-name', 'location', 'unlock-token', 'bootstrap-token'] as const),
] as const;
/** A class of sealed values. Each has its own meter. */
export type Field = (typeof FIELDS)[number];

/** Secrets of devices: long rows, and never opened to a person's browser, only to edge, which hands them to their device. */
export const DEVICE_SECRETS: ReadonlySet<Field> = new Set(['unlock-token', 'bootstrap-token']);

export const WRITERS = ['edge', 'intake', 'glass'] as const;
/** A process that may write values. Each signs with a key of its own, which the ledger pinned when the installation was founded. */
export type Writer = (typeof WRITERS)[number];

/** What each may write: who owns edge can replace no number, and core and the database can replace nothing. */
export const WRITES: { readonly [one in Writer]: ReadonlySet<Field> } = {
  edge: new Set(['device-name', 'location', 'unlock-token', 'bootstrap-token']),
  intake: new Set(['name', 'number', 'email']),
  // A file of people that a browser sealed on glass's origin.
  glass: new Set(['name', 'number', 'email']),
};

/** One reveal: who reads which field of whom, why, until when, and the key that only the reader's browser holds. */
export interface Grant {
  readonly v: 1;
  readonly op: 'reveal';
  readonly id: string;
  readonly admin: string;
  readonly field: Field;
  /** Handles, sorted, unique, at most the per-touch cap. */
  readonly subjects: readonly string[];
  /** Why, in the reader's words: 5 to 200 characters; never a name or number. */
  readonly purpose: string;
  readonly notAfter: number;
  /** Raw X25519 public key of the browser, 32 bytes; for a device's secret that of edge (`PublicKeys.release`). */
  readonly browserKey: string;
}

/** An Apple RequestType: the only name a command has between the console and the device. */
export const VERB = /^[A-Z][A-Za-z]{2,63}$/;

/** What takes data that nothing gives back; the destructive caps count these, whoever signs. */
export const DESTROYING: ReadonlySet<string> = new Set(['EraseDevice', 'DeleteUser']);

/**
 * A set of device commands that destroys, locates or could turn devices over: runs only with two signatures over exactly
 * this set. Any verb may be put to two people; edge checks that each body is what the verb says.
 */
export interface CommandSet {
  readonly v: 1;
  readonly op: 'command';
  readonly id: string;
  /** The RequestType of every command in the set (`VERB`). */
  readonly verb: string;
  /** Sorted by device handle; `body` is SHA-256 of the exact bytes the device will receive. */
  readonly commands: readonly { readonly device: string; readonly uuid: string; readonly body: string }[];
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** One declaration as two people agree to it: its token, and SHA-256 of the exact bytes that devices receive. */
export interface AgreedDeclaration {
  readonly identifier: string;
  readonly token: string;
  readonly body: string;
}

/** Stands for all devices, those of the future too. */
export const EVERY_DEVICE = 'everyone';
/** How far ahead the end of a permit for declarations may lie. */
export const MOST_PERMIT_MS = 400 * 86_400_000;

/**
 * Dangerous declarations for these devices until then; two signatures. Edge serves none of them without the ledger's
 * permit over exactly these bytes, for exactly these devices.
 */
export interface Declare {
  readonly v: 1;
  readonly op: 'declare';
  readonly id: string;
  /** Sorted by identifier. */
  readonly declarations: readonly AgreedDeclaration[];
  /** `everyone`, or handles, sorted and unique. */
  readonly devices: typeof EVERY_DEVICE | readonly string[];
  /** When devices are to lose them again, unless two people agree anew; at most `MOST_PERMIT_MS` ahead. */
  readonly until: number;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** `role`, `credential` and `document` name a role, a passkey (base64url SHA-256 of its id), a grant or request. */
export const LOCK_SCOPES = ['directory', 'admin', 'commands', 'role', 'credential', 'document'] as const;
export type LockScope = (typeof LOCK_SCOPES)[number];

/** Lifts a lock; two signatures. */
export interface Unlock {
  readonly v: 1;
  readonly op: 'unlock';
  readonly id: string;
  readonly scope: LockScope;
  /** What the scope says: an admin's handle, a role and so on; empty for the directory and commands. */
  readonly target: string;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

export const ROLES = ['administrator', 'analyst', 'dpo'] as const;
export type Role = (typeof ROLES)[number];

/** Invites a new admin; two signatures. The invitee later presents the token whose hash this is. */
export interface Invite {
  readonly v: 1;
  readonly op: 'invite';
  readonly id: string;
  readonly admin: string;
  readonly role: Role;
  readonly tokenSha256: string;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/**
 * Puts a staged organisation key in force; two signatures. New values are sealed to it at once, stored ones are sealed anew by
 * the guards, and the previous key is destroyed when none is left under it.
 */
export interface RotateKey {
  readonly v: 1;
  readonly op: 'rotate-key';
  readonly id: string;
  /** Version of the new key: one more than the present one. */
  readonly number: number;
  /** Raw public keys: the staged one, and the one in force (X25519, or P-256 from a token). */
  readonly key: string;
  readonly previous: string;
  /** Raw X25519: the third lock that comes into force with the key, or is in force already (third-types.ts). */
  readonly third?: string;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Most people in one `Leave`; and how many one administrator alone may have erased within an hour. */
export const MOST_LEAVING = 100;
export const LEAVING_PER_HOUR = 5;

/**
 * These people have left: their locks are destroyed, for ever. One administrator's signature for a few an hour, two for more.
 */
export interface Leave {
  readonly v: 1;
  readonly op: 'leave';
  readonly id: string;
  /** Handles of people, sorted and unique. */
  readonly subjects: readonly string[];
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** A changed number or address that waits: two people let it in before its time, one administrator turns it away. */
export interface Change {
  readonly v: 1;
  readonly op: 'change';
  readonly id: string;
  readonly act: 'release' | 'cancel';
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** New locks for everybody: two people start it, the ledger puts each row under its person's new lock. */
export interface RotateLocks {
  readonly v: 1;
  readonly op: 'rotate-locks';
  readonly id: string;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Brings one share of the organisation's key at a start with a quorum. Never accepted by a guard: the shares make the key or not. */
export interface BringShare {
  readonly v: 1;
  readonly op: 'bring-share';
  readonly shareSha256: string;
  readonly notAfter: number;
}

/** Registers a passkey with the guards: signed by the new passkey itself, authorised by the one-time token. */
export interface EnrolKey {
  readonly v: 1;
  readonly op: 'enrol-key';
  readonly token: string;
  readonly credential: string;
  /** SubjectPublicKeyInfo DER: P-256 (ES256) or Ed25519. */
  readonly publicKey: string;
  readonly notAfter: number;
}

/** Signs in to the console. Never accepted by a guard. */
export interface SignIn {
  readonly v: 1;
  readonly op: 'sign-in';
  readonly nonce: string;
  readonly console: string;
  /** SHA-256 of the key that only the browser holds which signs in: nobody else can use this touch. */
  readonly key: string;
  readonly notAfter: number;
}

/**
 * Takes in people who were sealed in a browser: one administrator's touch, twice. `begin` before handles are given out, over
 * the sealed keys of other systems; `send` over everything that is sent.
 */
export interface ImportPeople {
  readonly v: 1;
  readonly op: 'import';
  readonly id: string;
  /** The same in both documents of an import. */
  readonly import: string;
  readonly admin: string;
  readonly stage: 'begin' | 'send';
  readonly count: number;
  /** SHA-256 of the hashes (32 bytes each) of the parts, in order. */
  readonly sha256: string;
  /** `keysDigest` of the keys that the values are sealed to. */
  readonly keys: string;
  readonly notAfter: number;
}

/** The ledger's statement that an administrator touched for exactly this import, and that these are the keys to seal to. */
export interface ImportPermit extends ImportPeople {
  readonly leaf: number;
  /** Ed25519 by the ledger over canonical JSON of everything above. */
  readonly signature: string;
}

/** What needs two people. */
export type Approvable =
  | CommandSet
  | Declare
  | Unlock
  | Invite
  | Leave
  | Change
  | RotateLocks
  | RotateKey
  | RosterChange
  | Hydrate
  | Export
  | Notice;
export type Signable =
  | Grant
  | BringShare
  | Send
  | Approvable
  | EnrolKey
  | SignIn
  | LockNow
  | CancelRaise
  | BreakGlass
  | Refound
  | ImportPeople
  | Search
  | Dehydrate
  | LockKey
  | ThirdLock;

/** WebAuthn Level 3 section 6.3.3: what an authenticator returned for a challenge. */
export interface Assertion {
  readonly credential: string;
  readonly authenticatorData: string;
  readonly clientDataJSON: string;
  readonly signature: string;
}

/** A ciphertext row as the database holds it (`rowBytes` of its field), with the labels that its associated data binds. */
export interface SealedRow {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly row: string;
}

/** The ledger's signed statement that it wrote the entry before it opened anything. */
export interface Receipt {
  readonly v: 1;
  readonly grant: string;
  /** SHA-256 of the canonical grant. */
  readonly grantSha256: string;
  /** Index of the entry's leaf in the log. */
  readonly leaf: number;
  readonly opened: readonly string[];
  readonly time: number;
  /** Ed25519 by the ledger over canonical JSON of everything above. */
  readonly signature: string;
}

/** The ledger's permission for one destructive command; edge delivers nothing destructive without it. */
export interface Permit {
  readonly v: 1;
  readonly device: string;
  readonly uuid: string;
  readonly body: string;
  readonly verb: string;
  readonly approval: string;
  readonly notAfter: number;
  /** Ed25519 by the ledger over canonical JSON of everything above. */
  readonly signature: string;
}

/** The ledger's permission for declarations; edge serves none that is dangerous without it. */
export interface DeclarePermit {
  readonly v: 1;
  readonly op: 'declare';
  readonly approval: string;
  readonly declarations: readonly AgreedDeclaration[];
  /** `everyone`, or `membersDigest` of the handles. */
  readonly devices: string;
  readonly until: number;
  /** The document's: of two permits for the same declaration and device the one with the later counts. */
  readonly notAfter: number;
  /** Ed25519 by the ledger over canonical JSON of everything above. */
  readonly signature: string;
}

/** A pinned passkey. Public: no secret in it. */
export interface RosterKey {
  readonly admin: string;
  readonly role: Role;
  readonly credential: string;
  readonly publicKey: string;
  readonly since: number;
  /** Founding keys may approve at once; later ones only after 72 h. */
  readonly founding: boolean;
}

/** Reading and destroying limits. Lower than the default at once, higher only by roster quorum after 24 h. */
export interface Caps {
  /** Subjects in one grant. */
  readonly perTouch: number;
  /** Per admin and UTC day: numbers, device names, places each. */
  readonly perDay: number;
  readonly namesPerDay: number;
  readonly emailsPerDay: number;
  /** Secrets of devices, each kind. */
  readonly secretsPerDay: number;
  /** For the whole organisation and UTC day, over all admins, per field: this or 0.5 % of `people`; above, others sign too. */
  readonly orgPerDay: number;
  /** How many people the organisation has, as a quorum declared it. */
  readonly people: number;
  /** Destructive commands per hour and per UTC day, whoever signs. */
  readonly destroyPerHour: number;
  readonly destroyPerDay: number;
  /** Devices that one admin may change within an hour; more wait until another person releases them. */
  readonly changePerHour: number;
}

export const DEFAULT_CAPS: Caps = {
  perTouch: 25,
  perDay: 100,
  namesPerDay: 500,
  emailsPerDay: 100,
  secretsPerDay: 50,
  orgPerDay: 200,
  people: 0,
  destroyPerHour: 5,
  destroyPerDay: 20,
  changePerHour: 200,
};

/** Public keys that every process may read: `<home>/public/keys.json`. */
export interface PublicKeys {
  readonly v: 1;
  /** Organisation id; part of all associated data. */
  readonly org: string;
  /** Raw X25519 of the sealer: the inner layer. The founding key; later ones come by notices (rotate-key.ts). */
  readonly inner: string;
  /** Raw X25519 of the third lock, where one is in force: it comes by the same notices. */
  readonly third?: string;
  /** Raw X25519 of the ledger: the outer layer in transit. */
  readonly outer: string;
  /** Ed25519 SPKI DER of the ledger: receipts and permits. */
  readonly ledger: string;
  /** Ed25519 SPKI DER of the sealer: with the ledger's it vouches for later organisation keys. Absent in old installations. */
  readonly sealer?: string;
  /** C2SP note verifier key of the log's checkpoints: `<name>+<hash>+<base64>`. */
  readonly log: string;
  /** Ed25519 SPKI DER of core: ordinary commands. */
  readonly core: string;
  /** Raw X25519 of edge: what the guards release to a device is sealed to it. */
  readonly release: string;
  /** Raw X25519 of courier: addresses of people are opened to it, message by message. */
  readonly courier?: string;
  /** Raw X25519 of intake: pages seal the keys of other systems to it. It opens no stored value. */
  readonly intake?: string;
  /** Ed25519 SPKI DER of whoever writes values. The ledger goes by its own pins, not by these. */
  readonly writers: { readonly [one in Writer]: string };
}
