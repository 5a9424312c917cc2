export {
  AgeReader,
  AgeWriter,
  ageIdentity,
  ageOpen,
  ageRecipient,
  ageSeal,
  readAgeIdentity,
  readAgeRecipient,
} from './age.ts';
export { passkeyPublic, verifyAssertion } from './assertion.ts';
export { parseBringShare } from './bring-share.ts';
export { canaryAddress, canaryTag, openCall, sealCall } from './canary.ts';
export { type GuardClient, guardClient } from './client.ts';
export { type DeclaredStatement, dataAddress, itemsDigest, signDeclared, verifyDeclared } from './declared.ts';
export { GUARD_PROTOCOL, LEDGER_NAME, type RemoteDoor } from './dial.ts';
export {
  MOST_IMPORTED,
  parseApprovable,
  parseArrival,
  parseAssertion,
  parseChange,
  parseCommandSet,
  parseDeclare,
  parseEnrolKey,
  parseGrant,
  parseImportPeople,
  parseInvite,
  parseLeave,
  parseRotateLocks,
  parseSealedRow,
  parseSignable,
  parseSignIn,
  parseUnlock,
} from './documents.ts';
export { credentialDigest, isLockTarget, lockTargetFits } from './documents-shapes.ts';
export { GuardError, SealError } from './errors.ts';
export * from './export.ts';
export { parseExport } from './export-documents.ts';
export {
  type FanOut,
  fanOutUuid,
  membersDigest,
  NIL_UUID,
  signFanOut,
  verifyFanOut,
} from './fan-out.ts';
export {
  innerBytes,
  innerPoint,
  lockRow,
  openInner,
  openInnerDerived,
  openOuter,
  outerBytes,
  paddedBytes,
  padValue,
  type RowLabel,
  rowAad,
  rowBytes,
  sealField,
  sealInner,
  unlockRow,
  unpadValue,
  valueBytes,
} from './field.ts';
export { encodeFrame, FRAME_BYTES, FrameReader } from './frames.ts';
export { ADMIN } from './handles.ts';
export {
  type HpkeContext,
  hpkeEnc,
  hpkeOpen,
  hpkeOpenAuth,
  hpkeOpenDerived,
  hpkeSeal,
  hpkeSealAuth,
} from './hpke.ts';
export {
  keysDigest,
  parseImportPermit,
  signImportPermit,
  verifyImportPermit,
} from './import.ts';
export {
  type Kem,
  kemOf,
  kemOfKey,
  publicOf,
  rawPublic,
  x25519Private,
  x25519Public,
  x25519Raw,
  x25519Secret,
} from './kem.ts';
export * from './messages.ts';
export {
  CHANNEL_FIELD,
  messageHashes,
  parseAutoSend,
  parseNotice,
  parseOrdered,
  parseSend,
  signAutoSend,
  templateHash,
  textHash,
  verifyAutoSend,
} from './notice-documents.ts';
export * from './notices.ts';
export { type PackageStatement, signPackage, verifyPackage } from './package.ts';
export { newPen, penFile, readPen } from './pen.ts';
export {
  parseRecoveryKey,
  RECOVERY_USES,
  type RecoveryKey,
  type RecoveryUse,
  recoveryIdentity,
  recoveryKeyOf,
  recoverySigner,
} from './recovery.ts';
export {
  parseRestoreDrill,
  parseRestored,
  type RestoreDrill,
  type Restored,
  signRestoreDrill,
  signRestored,
  verifyRestoreDrill,
  verifyRestored,
} from './restored.ts';
export * from './roster.ts';
export {
  parseBreakGlass,
  parseCancelRaise,
  parseLockNow,
  parseRefound,
  parseRosterChange,
} from './roster-documents.ts';
export {
  joinNotice,
  type OrgKeyNotice,
  type OrgKeyStatement,
  orgKeyStatement,
  orgKeyText,
  parseRotateKey,
  withOrgKey,
} from './rotate-key.ts';
export {
  padQuery,
  parseDehydrate,
  parseHydrate,
  parseSearch,
  queryAad,
  queryBox,
  sealedQuery,
  unpadQuery,
} from './search-documents.ts';
export * from './search-types.ts';
export type { Shape } from './shape.ts';
export * as shape from './shape.ts';
export {
  challengeOf,
  checkBody,
  type Delivery,
  signBody,
  signDeclarePermit,
  signDelivery,
  signPermit,
  signReceipt,
  verifyDeclarePermit,
  verifyDelivery,
  verifyPermit,
  verifyReceipt,
} from './signed.ts';
export {
  isThird,
  lockKey,
  openBox,
  openThird,
  parseLockKey,
  parseThirdLock,
  publicOfThird,
  sealBox,
  thirdKey,
  thirdPad,
  withThird,
} from './third.ts';
export * from './third-types.ts';
export { signTransit, type TransitNotice, withTransitKey } from './transit.ts';
export {
  type Pen,
  penPublic,
  readWritten,
  sealWrite,
  signWrite,
  verifyWritten,
  type Written,
  writtenBytes,
} from './write.ts';
