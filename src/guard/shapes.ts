import { HANDLE } from '#base';
import { FIELDS, LOCK_SCOPES, lockTargetFits, parseAssertion, type Shape, shape } from '#seal';

const { object, list, text, oneOf, optional } = shape;

export const handle = text(40, { pattern: HANDLE });
export const field = oneOf(...FIELDS);
/** An empty body. */
export const nothing = object({});
export const twoOrMore = list(parseAssertion, 8, 2);

const lock = object({
  scope: oneOf(...LOCK_SCOPES),
  target: text(63),
  reason: text(200, { min: 1 }),
  alert: optional(text(64)),
});

/** A lock names what it locks, and nothing if it locks all. */
export const lockRequest: Shape<ReturnType<typeof lock>> = (value, where) => lockTargetFits(lock(value, where));
