import { parseBringShare } from './bring-share.ts';
import { lockTargetFits } from './documents-shapes.ts';
import { SealError } from './errors.ts';
import { parseExport } from './export-documents.ts';
import { outerBytes, rowBytes } from './field.ts';
import { admin, handle, uuid } from './handles.ts';
import {
  type Approvable,
  type Assertion,
  type Change,
  type CommandSet,
  type Declare,
  type EnrolKey,
  EVERY_DEVICE,
  FIELDS,
  type Grant,
  type ImportPeople,
  type Invite,
  type Leave,
  LOCK_SCOPES,
  MOST_LEAVING,
  ROLES,
  type RotateLocks,
  type SealedRow,
  type Signable,
  type SignIn,
  type Unlock,
  VERB,
  WRITERS,
} from './messages.ts';
import { parseNotice, parseSend } from './notice-documents.ts';
import {
  parseBreakGlass,
  parseCancelRaise,
  parseLockNow,
  parseRefound,
  parseRosterChange,
} from './roster-documents.ts';
import { parseRotateKey } from './rotate-key.ts';
import { parseDehydrate, parseHydrate, parseSearch } from './search-documents.ts';
import { base64url, integer, list, object, oneOf, type Shape, text } from './shape.ts';
import { parseLockKey, parseThirdLock } from './third.ts';
import type { Written } from './write.ts';

export const field = oneOf(...FIELDS);
const purpose = text(200, { min: 5 });
const v1 = oneOf(1);
const time = integer(0);

/** Most subjects that any grant may name; the per-touch cap is at most this. */
const MOST_SUBJECTS = 1_000;
const MOST_COMMANDS = 1_000;

function sortedUnique(values: readonly string[]): void {
  for (let i = 1; i < values.length; i++) {
    if (values[i - 1]! >= values[i]!) throw new SealError('shape', 'A list in a document is not sorted and unique.');
  }
}

const grant = object({
  v: v1,
  op: oneOf('reveal'),
  id: uuid,
  admin,
  field,
  subjects: list(handle, MOST_SUBJECTS, 1),
  purpose,
  notAfter: time,
  browserKey: base64url(32),
});

/** Reads a grant: exact members, subjects sorted and unique. Throws SealError `shape`. */
export const parseGrant: Shape<Grant> = (value, where) => {
  const read = grant(value, where);
  sortedUnique(read.subjects);
  return read;
};

const commandSet = object({
  v: v1,
  op: oneOf('command'),
  id: uuid,
  verb: text(64, { pattern: VERB }),
  commands: list(object({ device: handle, uuid, body: base64url(32) }), MOST_COMMANDS, 1),
  requester: admin,
  purpose,
  notAfter: time,
});

/** Reads a command set: commands sorted by device, one per device, no command id twice. Throws SealError `shape`. */
export const parseCommandSet: Shape<CommandSet> = (value, where) => {
  const read = commandSet(value, where);
  sortedUnique(read.commands.map((command) => command.device));
  sortedUnique(read.commands.map((command) => command.uuid).sort());
  return read;
};

const MOST_DECLARATIONS = 200;
const MOST_NAMED = 5_000;
const named = list(handle, MOST_NAMED, 1);
const devices: Shape<Declare['devices']> = (value, where) =>
  value === EVERY_DEVICE ? EVERY_DEVICE : named(value, where);
const declare = object({
  v: v1,
  op: oneOf('declare'),
  id: uuid,
  declarations: list(
    object({
      identifier: text(128, { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/ }),
      token: base64url(32),
      body: base64url(32),
    }),
    MOST_DECLARATIONS,
    1,
  ),
  devices,
  until: time,
  requester: admin,
  purpose,
  notAfter: time,
});

/** Reads what agrees to declarations: each once, sorted, as are the devices. Throws SealError `shape`. */
export const parseDeclare: Shape<Declare> = (value, where) => {
  const read = declare(value, where);
  sortedUnique(read.declarations.map(({ identifier }) => identifier));
  if (read.devices !== EVERY_DEVICE) sortedUnique(read.devices);
  return read;
};

const unlock = object({
  v: v1,
  op: oneOf('unlock'),
  id: uuid,
  scope: oneOf(...LOCK_SCOPES),
  target: text(63),
  requester: admin,
  purpose,
  notAfter: time,
});

/** Reads an unlock document; its target fits its scope. Throws SealError `shape`. */
export const parseUnlock: Shape<Unlock> = (value, where) => lockTargetFits(unlock(value, where));

/** Reads an invitation. Throws SealError `shape`. */
export const parseInvite: Shape<Invite> = object({
  v: v1,
  op: oneOf('invite'),
  id: uuid,
  admin,
  role: oneOf(...ROLES),
  tokenSha256: base64url(32),
  requester: admin,
  purpose,
  notAfter: time,
});

const leave = object({
  v: v1,
  op: oneOf('leave'),
  id: uuid,
  subjects: list(handle, MOST_LEAVING, 1),
  requester: admin,
  purpose,
  notAfter: time,
});

/** Reads who has left: each once, sorted. Throws SealError `shape`. */
export const parseLeave: Shape<Leave> = (value, where) => {
  const read = leave(value, where);
  sortedUnique(read.subjects);
  return read;
};

/** Reads what is decided about a change that waits. Throws SealError `shape`. */
export const parseChange: Shape<Change> = object({
  v: v1,
  op: oneOf('change'),
  id: uuid,
  act: oneOf('release', 'cancel'),
  subject: handle,
  field,
  version: integer(1),
  requester: admin,
  purpose,
  notAfter: time,
});

/** Reads what starts a change of all locks. Throws SealError `shape`. */
export const parseRotateLocks: Shape<RotateLocks> = object({
  ...{ v: v1, op: oneOf('rotate-locks'), id: uuid, requester: admin, purpose, notAfter: time },
});

/** Reads a key registration. Throws SealError `shape`. */
export const parseEnrolKey: Shape<EnrolKey> = object({
  v: v1,
  op: oneOf('enrol-key'),
  token: base64url(32),
  credential: base64url(1, 1023),
  publicKey: base64url(32, 200),
  notAfter: time,
});

/** Reads a sign-in document. Throws SealError `shape`. */
export const parseSignIn: Shape<SignIn> = object({
  v: v1,
  op: oneOf('sign-in'),
  nonce: base64url(16, 64),
  console: text(200),
  key: base64url(32),
  notAfter: time,
});

/** Most people in one import. */
export const MOST_IMPORTED = 50_000;
export const importMembers = {
  v: v1,
  op: oneOf('import'),
  id: uuid,
  import: uuid,
  admin,
  stage: oneOf('begin', 'send'),
  count: integer(1, MOST_IMPORTED),
  sha256: base64url(32),
  keys: base64url(32),
  notAfter: time,
} as const;

/** Reads what an administrator touches for an import. Throws SealError `shape`. */
export const parseImportPeople: Shape<ImportPeople> = object(importMembers);

/** Reads an assertion. Throws SealError `shape`. */
export const parseAssertion: Shape<Assertion> = object({
  credential: base64url(1, 1023),
  authenticatorData: base64url(37, 4096),
  clientDataJSON: base64url(2, 4096),
  signature: base64url(8, 1024),
});

const sealedRow = object({ subject: handle, field, version: integer(1), row: base64url(1, 8192) });
const arrival = object({
  ...{ subject: handle, field, version: integer(1) },
  ...{ outer: base64url(1, 8192), writer: oneOf(...WRITERS), signature: base64url(64) },
});

/** Reads a settled row: its size is its field's. Throws SealError `shape`. */
export const parseSealedRow: Shape<SealedRow> = (value, where) => {
  const read = sealedRow(value, where);
  base64url(rowBytes(read.field))(read.row, `${where ?? ''}.row`);
  return read;
};

/** Reads a value in transit: its size is its field's. Throws SealError `shape`. */
export const parseArrival: Shape<Omit<SealedRow, 'row'> & Written> = (value, where) => {
  const read = arrival(value, where);
  base64url(outerBytes(read.field))(read.outer, `${where ?? ''}.outer`);
  return read;
};

const PARSERS: { readonly [Op in Signable['op']]: Shape<Signable> } = {
  reveal: parseGrant,
  command: parseCommandSet,
  declare: parseDeclare,
  send: parseSend,
  notice: parseNotice,
  export: parseExport,
  unlock: parseUnlock,
  invite: parseInvite,
  'rotate-key': parseRotateKey,
  'bring-share': parseBringShare,
  leave: parseLeave,
  change: parseChange,
  'rotate-locks': parseRotateLocks,
  'enrol-key': parseEnrolKey,
  'sign-in': parseSignIn,
  hydrate: parseHydrate,
  dehydrate: parseDehydrate,
  search: parseSearch,
  import: parseImportPeople,
  roster: parseRosterChange,
  lock: parseLockNow,
  'cancel-raise': parseCancelRaise,
  'break-glass': parseBreakGlass,
  refound: parseRefound,
  'lock-key': parseLockKey,
  'third-lock': parseThirdLock,
};

/** Reads any document that people sign, by its `op`. Throws SealError `shape`. */
export function parseSignable(value: unknown): Signable {
  const op = typeof value === 'object' && value !== null && 'op' in value ? value.op : undefined;
  if (typeof op !== 'string' || !Object.hasOwn(PARSERS, op)) {
    throw new SealError('shape', 'This is not a document that can be signed here.');
  }
  return PARSERS[op as Signable['op']](value);
}

/** Reads a document that needs two people. Throws SealError `shape`. */
export function parseApprovable(value: unknown): Approvable {
  const read = parseSignable(value);
  switch (read.op) {
    case 'command':
    case 'declare':
    case 'unlock':
    case 'invite':
    case 'leave':
    case 'change':
    case 'rotate-key':
    case 'roster':
    case 'hydrate':
    case 'notice':
    case 'export':
      return read;
    default:
      throw new SealError('shape', 'This document does not need two people.');
  }
}
