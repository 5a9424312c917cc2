import { HANDLE } from '#base';
import {
  FIELDS,
  innerBytes,
  LOCK_SCOPES,
  lockTargetFits,
  parseAssertion,
  parseOrdered,
  parseSealedRow,
  type Shape,
  shape,
} from '#seal';
import type { ResealedValue } from './rekeying.ts';

const { object, list, text, oneOf, optional, integer, base64url } = shape;

export const handle = text(40, { pattern: HANDLE });
export const field = oneOf(...FIELDS);
/** An empty body. */
export const nothing = object({});
export const twoOrMore = list(parseAssertion, 8, 2);
/** A message with what lets it go, and the addresses that it needs. */
export const messageBody = object({
  message: parseOrdered,
  assertions: list(parseAssertion, 8),
  rows: list(parseSealedRow, 25, 1),
});

const lock = object({
  scope: oneOf(...LOCK_SCOPES),
  target: text(63),
  reason: text(200, { min: 1 }),
  alert: optional(text(64)),
});

/** A lock names what it locks, and nothing if it locks all. */
export const lockRequest: Shape<ReturnType<typeof lock>> = (value, where) => lockTargetFits(lock(value, where));

const named = { subject: handle, field, version: integer(1) };
const value = object({ ...named, inner: base64url(1, 8192) });
const resealedValue: Shape<ResealedValue> = (given, where) => {
  const read = value(given, where);
  base64url(innerBytes(read.field))(read.inner, `${where ?? ''}.inner`);
  return read;
};
const keyNumber = integer(2, 1_000_000);
/** Rows and values of one frame. */
export const resealRows = list(parseSealedRow, 500);
export const rotateBody = object({ number: keyNumber, rows: resealRows });
export const rotatedBody = object({
  number: keyNumber,
  values: list(resealedValue, 500),
  found: list(object(named), 500),
});
export const retireBody = object({ number: keyNumber });
