export { type Manifest, type Member, packSet, type SetFacts, type Unpacking, unpackSet } from './archive.ts';
export { shareCard } from './card.ts';
export { BackupError } from './error.ts';
export {
  DEFAULT_POLICY,
  fileNameOf,
  type Kept,
  LEDGER_DAYS,
  outlived,
  type Policy,
  SETS,
  type SetName,
  timeOf,
} from './sets.ts';
export { combineShares, NEEDED, readShare, SHARES, type Share, splitRecovery } from './shares.ts';
export {
  markPlace,
  mustBeApart,
  openTarget,
  type Place,
  placeOf,
  type Target,
  type TargetSettings,
} from './targets.ts';
