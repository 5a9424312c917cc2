export { foundLedger } from './found-ledger.ts';
export { parseFounders, parseFounding, parseWriters } from './founders.ts';
export { Gate, Refusal } from './gate.ts';
export { type Founder, Ledger, type LedgerOptions, logOrigin, type WriterKey } from './ledger.ts';
export { LEDGER_CALLERS, type LedgerCaller, ledgerDoors } from './ledger-doors.ts';
export { cutLog, wrapKeys } from './recovery.ts';
export { foundSealer, Sealer, type SealerOptions } from './sealer.ts';
export { SEALER_CALLERS, type SealerCaller, sealerDoors } from './sealer-doors.ts';
export { type Door, type DoorTable, serveCaller } from './server.ts';
