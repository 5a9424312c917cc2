export {
  type Approval,
  executeCommands,
  executeDeclares,
  expireApprovals,
  listApprovals,
  requestApproval,
} from './approval.ts';
export { askAutomatic, tellHeldChanges } from './automatic.ts';
export { askRelease } from './change.ts';
export { type ActionVerb, contain, lockByHand } from './containment.ts';
export { RespondError } from './error.ts';
export { askExport } from './export.ts';
export type { Guards } from './guards.ts';
export { askHydrate } from './hydrate.ts';
export { askInvite } from './invite.ts';
export { askLeave } from './leave.ts';
export { type ActionRow, actionsOf, askLock, askUnlock, type LockRow, listLocks } from './locks.ts';
export { isLocked, mirrorGuards } from './mirror.ts';
export { askNotice, listMessages, type MessageRow } from './notices.ts';
export { askRoster, type NewToken, type RosterWish } from './roster.ts';
export { RosterWatch } from './roster-watch.ts';
export { askRotateKey } from './rotate-key.ts';
export { askRotateLocks } from './rotate-locks.ts';
