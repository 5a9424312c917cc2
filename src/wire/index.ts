export {
  type Attestation,
  type AttestedFacts,
  freshnessFor,
  parseAttestationObject,
  verifyAttestation,
} from './acme/attestation.ts';
export { type AccountKey, type Jwk, readJwk } from './acme/jwk.ts';
export { type Jws, parseJws, signedBy } from './acme/jws.ts';
export { readKeyChange } from './acme/key-change.ts';
export { makeNonce, nonceKey, readNonce } from './acme/nonce.ts';
export {
  type AcmeOrder,
  type AcmeUrls,
  acmeUrls,
  authorizationObject,
  challengeObject,
  directory,
  type OrderState,
  orderObject,
  readChallengeAnswer,
  readFinalize,
  readNewOrder,
  readRevocation,
} from './acme/objects.ts';
export { type AcmeErrorType, AcmeRefusal, acmeProblem } from './acme/problem.ts';
export { type AdeDevice, type AdePage, parseAdePage } from './ade/device.ts';
export { type MachineInfo, parseMachineInfo, unrecognisedDevice, updateRequired } from './ade/machine-info.ts';
export { oauthHeader } from './ade/oauth.ts';
export { openServerToken, type ServerToken } from './ade/token.ts';
export { type PushOutcome, pushOutcome, pushRequest, topicOfCertificate } from './apns/push.ts';
export type { InventoryKind } from './apple/answers.ts';
export { type AppManifest, appManifest } from './apple/app-manifest.ts';
export { availableSince } from './apple/available.ts';
export {
  type Authenticate,
  type CheckIn,
  type CheckOut,
  type DeclarativeManagement,
  parseCheckIn,
  type TokenUpdate,
} from './apple/check-in.ts';
export { bootstrapTokenAnswer, digestChallengeAnswer, tokenAnswer } from './apple/check-in-answers.ts';
export {
  buildCommand,
  type CommandArgs,
  type CommandRequest,
  permitReason,
  requestTypeOf,
  VERBS,
  type Verb,
} from './apple/command.ts';
export { COMMANDS, type CommandRisk, type CommandSpec, commandSpec, type TypedVerb } from './apple/command-set.ts';
export {
  ENROLMENT_PROFILE,
  type EnrolmentProfile,
  enrolmentProfile,
  type ForeignProfile,
  type ProfileIdentity,
  removesManagement,
} from './apple/enrolment-profile.ts';
export type { Personal, PersonalField } from './apple/personal.ts';
export { type Danger, type DangerKind, dangersOf, dangersOfProfile } from './apple/profile-dangers.ts';
export { type CommandResult, parseCommandResult, RESULT_BYTES, type Status } from './apple/result.ts';
export type { Speaker, UserChannel } from './apple/speaker.ts';
export type { Cbor, CborLimits, CborMap } from './cbor/read.ts';
export { decryptEnvelope, encryptEnvelope } from './cms/enveloped.ts';
export { verifyMdmSignature } from './cms/mdm-signature.ts';
export {
  certsOnly,
  parseSigned,
  readCertificates,
  type SignedMessage,
  type SignRequest,
  signCms,
  verifySigned,
} from './cms/signed.ts';
export * from './ddm/index.ts';
export { readDer } from './der/read.ts';
export { WireError } from './error.ts';
export { parseAnyPlist } from './plist/binary.ts';
export { parsePlist } from './plist/read.ts';
export { isDict, type Plist, type PlistDict, type PlistInput, textAt } from './plist/value.ts';
export { writePlist } from './plist/write.ts';
export { type FailInfo, SCEP_CAPS, SCEP_CAPS_MODERN } from './scep/attributes.ts';
export { buildPkcsReq, readCertRep, type ScepExchange } from './scep/client.ts';
export { certRepFailure, certRepSuccess, parsePkiMessage, type Registration, type ScepRequest } from './scep/server.ts';
export * from './scim/index.ts';
export { readTimeStampReply, type TimeStamp, timeStampRequest } from './tsp/tsp.ts';
export { compareVersions } from './version.ts';
export {
  type Certificate,
  fromPem,
  parseCertificate,
  toPem,
  verifyIssuedBy,
  verifySignature,
} from './x509/certificate.ts';
export { type CrlReason, type CrlRequest, makeCrl, type RevokedCertificate } from './x509/crl.ts';
export {
  type IssueRequest,
  type Issuer,
  issueCertificate,
  issueWith,
  makeCa,
  makeCaWith,
  type Sign,
} from './x509/issue.ts';
export { type CertificateRequest, makeCsr, parseCsr } from './x509/request.ts';
export {
  findZipDirectory,
  readZipDirectory,
  readZipEntry,
  ZIP_LOCAL_BYTES,
  ZIP_TAIL_BYTES,
  type ZipDirectory,
  type ZipEntry,
  zipLocalExtent,
} from './zip/zip.ts';
