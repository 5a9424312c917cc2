import {
  MOST_HITS,
  parseAssertion,
  parseDehydrate,
  parseHydrate,
  parseSealedRow,
  parseSearch,
  SEARCHED,
  sealedQuery,
  shape,
} from '#seal';
import type { LedgerCaller } from '../ledger-doors.ts';
import type { SealerCaller } from '../sealer-doors.ts';
import { type DoorTable, doorsFor } from '../server.ts';
import { handle, nothing, twoOrMore } from '../shapes.ts';
import type { LedgerSearch } from './ledger-search.ts';
import type { SealerSearch } from './sealer-search.ts';

const { object, list, integer, oneOf, base64url, text } = shape;
const field = oneOf(...SEARCHED);
const PART = 500;

const hydrateBody = object({ document: parseHydrate, assertions: twoOrMore });
const dehydrateBody = object({ document: parseDehydrate, assertion: parseAssertion });
const question = { search: parseSearch, assertion: parseAssertion, seq: integer(1, 1_000) } as const;
const searchBody = object({ ...question, ...sealedQuery });
const rows = list(parseSealedRow, PART);
const takeBody = object({ field, subjects: list(handle, PART), rows });
const openBody = object({ field, rows });
const feedBody = object({ field, after: integer(0) });
const flag = (value: unknown): boolean =>
  oneOf('yes', 'no')(value === true ? 'yes' : value === false ? 'no' : value) === 'yes';
const namesBody = object({
  ...question,
  full: flag,
  hits: list(object({ subject: handle, version: integer(1) }), MOST_HITS),
});
const evaluateBody = object({ ...question, blinded: base64url(32) });
const bulkBody = object({ blinded: list(base64url(32), PART, 1) });
const tagsBody = object({ tags: list(object({ subject: handle, version: integer(1), tag: base64url(32) }), PART) });
const findBody = object({ grant: text(36, { min: 36 }), seq: integer(1), tag: base64url(32) });

const sealerDoor = doorsFor<SealerCaller>();
const ledgerDoor = doorsFor<LedgerCaller>();

/** What the sealer understands besides, where search is switched on; elsewhere these messages do not exist. */
export function sealerSearchDoors(search: SealerSearch): DoorTable<SealerCaller> {
  return {
    search: sealerDoor({ from: ['glass'], parse: searchBody, handle: (asked) => search.search(asked) }),
    'search-status': sealerDoor({ from: ['glass', 'console'], parse: nothing, handle: () => search.status() }),
    hydrate: sealerDoor({
      from: ['glass'],
      parse: hydrateBody,
      handle: ({ document, assertions }) => search.hydrate(document, assertions),
    }),
    dehydrate: sealerDoor({
      from: ['glass'],
      parse: dehydrateBody,
      handle: ({ document, assertion }) => search.dehydrate(document, assertion),
    }),
    'hydrate-rows': sealerDoor({
      from: ['glass'],
      parse: takeBody,
      handle: (given) => search.take(given.field, given.subjects, given.rows),
    }),
  };
}

/** The same of the ledger. */
export function ledgerSearchDoors(search: LedgerSearch): DoorTable<LedgerCaller> {
  return {
    hydrate: ledgerDoor({
      from: ['glass'],
      parse: hydrateBody,
      handle: ({ document, assertions }) => search.hydrate(document, assertions),
    }),
    dehydrate: ledgerDoor({
      from: ['glass'],
      parse: dehydrateBody,
      handle: ({ document, assertion }) => search.dehydrate(document, assertion),
    }),
    'hydrate-open': ledgerDoor({
      from: ['sealer'],
      parse: openBody,
      handle: (given) => search.open(given.field, given.rows),
    }),
    'search-feed': ledgerDoor({
      from: ['sealer'],
      parse: feedBody,
      handle: (given) => search.feed(given.field, given.after),
    }),
    'search-names': ledgerDoor({
      from: ['sealer'],
      parse: namesBody,
      handle: ({ full, hits, ...asked }) => search.names(asked, { full, hits }),
    }),
    evaluate: ledgerDoor({
      from: ['sealer'],
      parse: evaluateBody,
      handle: ({ blinded, ...asked }) => search.evaluate(asked, blinded),
    }),
    'evaluate-bulk': ledgerDoor({
      from: ['sealer'],
      parse: bulkBody,
      handle: ({ blinded }) => search.evaluateMany(blinded),
    }),
    tags: ledgerDoor({ from: ['sealer'], parse: tagsBody, handle: ({ tags }) => search.tag(tags) }),
    find: ledgerDoor({
      from: ['sealer'],
      parse: findBody,
      handle: ({ grant, seq, tag }) => search.find(grant, seq, tag),
    }),
  };
}
