import { canonicalJson, fromBase64url, type Json, sha256, toBase64url } from '#base';
import { SealError } from './errors.ts';
import { type Dehydrate, type Hydrate, QUERY_BYTES, SEARCHED, type Search } from './search-types.ts';
import { base64url, integer, object, oneOf, type Shape, text } from './shape.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const uuid = text(36, { min: 36, pattern: UUID });
const admin = text(63, { pattern: /^[a-z0-9][a-z0-9-]{1,62}$/ });
const purpose = text(200, { min: 5 });
const v1 = oneOf(1);
const field = oneOf(...SEARCHED);

/** Reads what opens the search. Throws SealError `shape`. */
export const parseHydrate: Shape<Hydrate> = object({
  ...{ v: v1, op: oneOf('hydrate'), id: uuid, field, hours: integer(1, 168) },
  ...{ requester: admin, purpose, notAfter: integer(0) },
});

/** Reads what ends it. Throws SealError `shape`. */
export const parseDehydrate: Shape<Dehydrate> = object({
  ...{ v: v1, op: oneOf('dehydrate'), id: uuid, admin, field, notAfter: integer(0) },
});

/** Reads a search grant. Throws SealError `shape`. */
export const parseSearch: Shape<Search> = object({
  ...{ v: v1, op: oneOf('search'), id: uuid, admin, field, cap: integer(1, 1_000) },
  ...{ purpose, notAfter: integer(0), browserKey: base64url(32) },
});

/** What a query is bound to: its grant, and its place among the grant's queries. */
export const queryAad = (search: Search, seq: number): Buffer =>
  Buffer.from(canonicalJson({ grant: toBase64url(sha256(canonicalJson(search as unknown as Json))), seq }));

/** A query as it is sealed: `QUERY_BYTES`. Throws SealError `value-too-long`. */
export function padQuery(query: Uint8Array): Buffer {
  if (query.byteLength > QUERY_BYTES - 2) throw new SealError('value-too-long', 'This is too long to be searched.');
  const padded = Buffer.alloc(QUERY_BYTES);
  padded.writeUInt16BE(query.byteLength);
  padded.set(query, 2);
  return padded;
}

/** The query within what `padQuery` made: a view, no copy. Throws SealError `open-failed`. */
export function unpadQuery(padded: Buffer): Buffer {
  const length = padded.length === QUERY_BYTES ? padded.readUInt16BE(0) : QUERY_BYTES;
  if (length > QUERY_BYTES - 2) throw new SealError('open-failed', 'A sealed query does not open.');
  return padded.subarray(2, 2 + length);
}

/** A sealed query as messages carry it. */
export const sealedQuery = { enc: base64url(32), ct: base64url(QUERY_BYTES + 16) } as const;

/** Both parts of a sealed query in one. */
export const queryBox = (query: { readonly enc: string; readonly ct: string }): Buffer =>
  Buffer.concat([fromBase64url(query.enc), fromBase64url(query.ct)]);
