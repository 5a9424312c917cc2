import { EXPORT_BATCH, EXPORTED, parseExport, parseSealedRow, shape } from '#seal';
import type { LedgerCaller } from '../ledger-doors.ts';
import type { SealerCaller } from '../sealer-doors.ts';
import { type DoorTable, doorsFor } from '../server.ts';
import { twoOrMore } from '../shapes.ts';
import type { LedgerExport } from './ledger-export.ts';
import type { SealerExport } from './sealer-export.ts';

const { object, list, integer, oneOf, base64url, text } = shape;
const id = text(36, { min: 36 });
const begin = object({ document: parseExport, assertions: twoOrMore });
const rows = object({ id, rows: list(parseSealedRow, EXPORT_BATCH * EXPORTED.length) });
const one = object({ id });
const part = object({ id, n: integer(0, 100_000) });
const open = object({ id, field: oneOf(...EXPORTED), rows: list(parseSealedRow, EXPORT_BATCH) });
const end = object({ id, bytes: integer(1), sha256: base64url(32) });

const sealerDoor = doorsFor<SealerCaller>();
const ledgerDoor = doorsFor<LedgerCaller>();

/** What the sealer understands of exports. */
export const sealerExportDoors = (own: () => SealerExport): DoorTable<SealerCaller> => ({
  export: sealerDoor({
    from: ['glass'],
    parse: begin,
    handle: ({ document, assertions }) => own().begin(document, assertions),
  }),
  'export-rows': sealerDoor({ from: ['glass'], parse: rows, handle: (given) => own().take(given.id, given.rows) }),
  'export-end': sealerDoor({ from: ['glass'], parse: one, handle: (given) => own().end(given.id) }),
  'export-part': sealerDoor({ from: ['glass'], parse: part, handle: (given) => own().part(given.id, given.n) }),
});

/** The same of the ledger. */
export const ledgerExportDoors = (own: () => LedgerExport): DoorTable<LedgerCaller> => ({
  export: ledgerDoor({
    from: ['glass'],
    parse: begin,
    handle: ({ document, assertions }) => own().begin(document, assertions),
  }),
  'export-open': ledgerDoor({
    from: ['sealer'],
    parse: open,
    handle: (given) => own().open(given.id, given.field, given.rows),
  }),
  'export-end': ledgerDoor({ from: ['sealer'], parse: end, handle: ({ id: of, ...file }) => own().end(of, file) }),
});
