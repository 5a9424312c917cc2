import { HANDLE } from '#base';
import {
  ADMIN,
  FIELDS,
  LOCK_SCOPES,
  parseAssertion,
  parseOrdered,
  parseSealedRow,
  SealError,
  type Shape,
  shape,
} from '#seal';

const { object, list, text, oneOf, optional } = shape;

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

/** A lock names its admin if it locks one, and nobody otherwise. */
export const lockRequest: Shape<ReturnType<typeof lock>> = (value, where) => {
  const read = lock(value, where);
  if (read.scope === 'admin' ? !ADMIN.test(read.target) : read.target !== '') {
    throw new SealError('shape', 'A lock of one admin names the admin; other locks have no target.');
  }
  return read;
};
