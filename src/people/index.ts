export type { RefusedLine } from './csv.ts';
export { PeopleError } from './error.ts';
export type { ImportDoors, ImportResult } from './import.ts';
export { unknownPeople } from './known.ts';
export { countPeople, listPeople, type PersonRow } from './list.ts';
export { KeyChange } from './reseal.ts';
export { accountRows } from './rows-account.ts';
export { intakeServer } from './server.ts';
export { settleArriving } from './settle.ts';
