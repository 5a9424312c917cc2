import { HANDLE } from '#base';
import { type Shape, text } from './shape.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** The form of an admin's handle: lower case, digits and hyphens, 2 to 63 characters. */
export const ADMIN = /^[a-z0-9][a-z0-9-]{1,62}$/;

export const uuid: Shape<string> = text(36, { min: 36, pattern: UUID });
export const admin: Shape<string> = text(63, { pattern: ADMIN });
export const handle: Shape<string> = text(40, { pattern: HANDLE });
