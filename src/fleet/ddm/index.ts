export {
  type DeclarationRow,
  getDeclaration,
  listDeclarations,
  listSets,
  removeSet,
  type SetInput,
  saveSet,
} from './catalogue.ts';
export { type Judgement, judgeDeclaration } from './danger.ts';
export { storeData } from './data.ts';
export {
  type DeclarationInput,
  InvalidDeclaration,
  proposeDeclaration,
  removeDeclaration,
} from './declare.ts';
export { refreshDevices, refreshLists } from './lists.ts';
export { nudgeAgain, nudgeDevices } from './nudge.ts';
export { type ApprovedDeclare, askDeclare, endPermits, isOvertaken, takePermit } from './permit.ts';
export { type DeclarationPreview, previewDeclaration, previewSet, type SetPreview } from './preview.ts';
export { fetchReleases, listReleases, putReleases, type ReleaseFeed } from './releases.ts';
export { signProposed } from './sign.ts';
export { foundStandard, STANDARD_SET } from './standard.ts';
export { type Standing, standingOf } from './standing.ts';
export { stepDeclarations } from './step.ts';
export { type DeclarationType, declarationTypes } from './types.ts';
export {
  endUpdate,
  followUpdates,
  listUpdates,
  planUpdate,
  previewUpdate,
  type UpdateInput,
  updateDevices,
} from './updates.ts';
export { permitsOfSets, type SetPermit } from './waiting.ts';
