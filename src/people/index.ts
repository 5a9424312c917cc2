export { markCanary, tellCanaryCalls } from './canaries.ts';
export { endHold, type WaitingChange, waitingChanges } from './changes.ts';
export type { RefusedLine } from './csv.ts';
export { decoysFor, inventDecoy } from './decoy.ts';
export { PeopleError } from './error.ts';
export { freeHandles, type ImportDoors, type ImportResult, shuffle, tellDecoys } from './import.ts';
export {
  DEFAULT_NUMBERS,
  isCountry,
  judgeEmail,
  judgeName,
  judgeNumber,
  type NumberPolicy,
  type PlainPerson,
  unitFits,
} from './judge.ts';
export { unknownPeople } from './known.ts';
export { peopleOf } from './ldif.ts';
export { erasePeople, tombstoneOf } from './leave.ts';
export { countPeople, listPeople, type PersonRow } from './list.ts';
export { lastRotation, relockPeople, startRotation } from './relock.ts';
export { KeyChange } from './reseal.ts';
export type { NewPerson } from './row.ts';
export { accountRows } from './rows-account.ts';
export { intakeServer } from './server.ts';
export { settleArriving } from './settle.ts';
export { offerSheet } from './sheet.ts';
export { tellTransit } from './transit.ts';
