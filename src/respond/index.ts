export {
  type Approval,
  executeCommands,
  executeDeclares,
  expireApprovals,
  getApproval,
  listApprovals,
  requestApproval,
} from './approval.ts';
export { type ActionVerb, contain, lock, lockByHand } from './containment.ts';
export { RespondError } from './error.ts';
export type { Guards } from './guards.ts';
export { askInvite } from './invite.ts';
export { type ActionRow, actionsOf, askLock, askUnlock, checkPurpose, type LockRow, listLocks } from './locks.ts';
export { isLocked, mirrorGuards } from './mirror.ts';
