import type { Context } from 'hono';
import * as z from 'zod';
import type { Role } from '#seal';
import type { ApiDoors } from './doors.ts';
import { ApiError } from './error.ts';
import type { Session } from './session.ts';

/** One request, checked. */
export interface Call<B, Q> {
  readonly doors: ApiDoors;
  readonly context: Context;
  /** Present unless the route is for anyone. */
  readonly session: Session;
  readonly body: B;
  readonly query: Q;
  /** The body of a route that takes bytes; empty for any other. */
  readonly bytes: Uint8Array;
  /** A member of the path; its form is checked. */
  readonly param: (name: string) => string;
}

/** One question or act of the console's API: what it takes, who may ask, what it does. The OpenAPI document is made of these. */
export interface Route<B = unknown, Q = unknown> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below /api, with `{name}` for members. */
  readonly path: string;
  readonly summary: string;
  /** `anyone`: without a session. `all`: every role. */
  readonly for: 'anyone' | 'all' | readonly Role[];
  readonly body?: z.ZodType<B>;
  readonly query?: z.ZodType<Q>;
  /** The body is bytes (application/octet-stream), as long as any request may be. */
  readonly bytes?: true;
  /** Answers a JSON value, nothing (204), or a Response of its own. */
  readonly handle: (call: Call<B, Q>) => Promise<object | undefined> | object | undefined;
}

/** Infers the types of body and query. */
export const route = <B = undefined, Q = undefined>(definition: Route<B, Q>): Route => definition as unknown as Route;

export const uuid = z.uuid().toLowerCase();
export const handle = z.string().regex(/^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/);
export const admin = z.string().regex(/^[a-z0-9][a-z0-9-]{1,62}$/);
export const purpose = z.string().trim().min(5).max(200);
/** Paging: at most `limit` items after the cursor that the page before gave as `next`. */
export const page = {
  after: z.string().max(80).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
};
export const search = z.string().trim().max(80).optional();

/** Checks a value against a schema; the refusal names the member and the rule, never the value. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) {
    if (storable(result.data)) return result.data;
    throw new ApiError('bad-request', `${what} holds a character that no text may hold. Nothing was changed.`);
  }
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? what : `${what}: ${issue.path.join('.')}`;
  throw new ApiError('bad-request', `${where} is not as expected (${issue?.code ?? 'invalid'}). Nothing was changed.`);
}

/** Whether every string in a JSON value is text that PostgreSQL can hold: no NUL, no half of a surrogate pair. */
function storable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => storable(key) && storable(inner));
}

/** A page from one row more than asked for. */
export function paged<T>(rows: readonly T[], limit: number, total: number, cursor: (row: T) => string) {
  const items = rows.slice(0, limit);
  return { items, next: rows.length > limit ? cursor(items.at(-1)!) : null, total };
}
