import type { BringShare } from './messages.ts';
import { base64url, integer, object, oneOf, type Shape } from './shape.ts';

/** Reads what an administrator signs who brings a share. Throws SealError `shape`. */
export const parseBringShare: Shape<BringShare> = object({
  v: oneOf(1),
  op: oneOf('bring-share'),
  shareSha256: base64url(32),
  notAfter: integer(0),
});
