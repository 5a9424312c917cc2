import { lockTargetFits } from './documents-shapes.ts';
import { SealError } from './errors.ts';
import { ADMIN, admin, uuid } from './handles.ts';
import { LOCK_SCOPES, ROLES } from './messages.ts';
import type { BreakGlass, CancelRaise, LockNow, Refound, RosterAct, RosterChange } from './roster.ts';
import { CUSTODIANS, SEALED_KEYS } from './roster.ts';
import { base64url, integer, list, object, oneOf, type Shape, text } from './shape.ts';

const v1 = oneOf(1);
const time = integer(0);
const purpose = text(200, { min: 5 });
const count = integer(0, 1_000_000);

const caps = object({
  perTouch: integer(1, 1_000),
  perDay: count,
  namesPerDay: count,
  emailsPerDay: count,
  secretsPerDay: count,
  orgPerDay: count,
  people: integer(0, 100_000_000),
  destroyPerHour: count,
  destroyPerDay: count,
});

const ACTS: { readonly [A in RosterAct['act']]: Shape<RosterAct> } = {
  'add-key': object({ act: oneOf('add-key'), admin, tokenSha256: base64url(32) }),
  'remove-key': object({ act: oneOf('remove-key'), credential: base64url(1, 1023) }),
  'remove-admin': object({ act: oneOf('remove-admin'), admin }),
  role: object({ act: oneOf('role'), admin, role: oneOf(...ROLES) }),
  threshold: object({ act: oneOf('threshold'), threshold: integer(2, 7) }),
  caps: object({ act: oneOf('caps'), caps }),
  'break-glass': object({
    act: oneOf('break-glass'),
    tokens: list(base64url(32), SEALED_KEYS.length + CUSTODIANS.length, SEALED_KEYS.length + CUSTODIANS.length),
  }),
  review: object({ act: oneOf('review'), opening: uuid, verdict: oneOf('proper', 'improper') }),
};

const change: Shape<RosterAct> = (value, where = '') => {
  const act = typeof value === 'object' && value !== null && 'act' in value ? value.act : undefined;
  if (typeof act !== 'string' || !Object.hasOwn(ACTS, act)) {
    throw new SealError('shape', `A message has the wrong shape at ${where}.act.`);
  }
  return ACTS[act as RosterAct['act']](value, where);
};

/** Reads a change of the roster. Throws SealError `shape`. */
export const parseRosterChange: Shape<RosterChange> = object({
  v: v1,
  op: oneOf('roster'),
  id: uuid,
  roster: integer(0),
  change,
  requester: admin,
  purpose,
  notAfter: time,
});

const lockNow = object({
  v: v1,
  op: oneOf('lock'),
  id: uuid,
  scope: oneOf(...LOCK_SCOPES),
  target: text(63),
  requester: admin,
  purpose,
  notAfter: time,
});

/** Reads a lock that one person touches for; its target fits its scope. Throws SealError `shape`. */
export const parseLockNow: Shape<LockNow> = (value, where) => lockTargetFits(lockNow(value, where));

/** Reads what stops a raise. Throws SealError `shape`. */
export const parseCancelRaise: Shape<CancelRaise> = object({
  v: v1,
  op: oneOf('cancel-raise'),
  id: uuid,
  roster: integer(0),
  requester: admin,
  purpose,
  notAfter: time,
});

const bool: Shape<boolean> = (value, where = '') => {
  if (typeof value !== 'boolean') throw new SealError('shape', `A message has the wrong shape at ${where}.`);
  return value;
};

/** Reads what opens sealed keys. Throws SealError `shape`. */
export const parseBreakGlass: Shape<BreakGlass> = object({
  v: v1,
  op: oneOf('break-glass'),
  id: uuid,
  drill: bool,
  purpose,
  notAfter: time,
});

const refound = object({
  v: v1,
  op: oneOf('refound'),
  id: uuid,
  org: text(100, { min: 1 }),
  roster: integer(0),
  founders: list(object({ admin: text(63, { pattern: ADMIN }), tokenSha256: base64url(32) }), 20, 2),
  purpose,
  notAfter: time,
});

/** Reads what makes the roster anew: at least two founders, each once. Throws SealError `shape`. */
export const parseRefound: Shape<Refound> = (value, where) => {
  const read = refound(value, where);
  const unique = (values: readonly string[]) => new Set(values).size === values.length;
  if (!unique(read.founders.map((one) => one.admin)) || !unique(read.founders.map((one) => one.tokenSha256))) {
    throw new SealError('shape', 'A founder is named twice.');
  }
  return read;
};
