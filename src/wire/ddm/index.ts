export {
  type Checked,
  checkDeclaration,
  MAX_PAYLOAD_BYTES,
  type Problem,
  referencesOf,
} from './check.ts';
export { bodyDangers, type DeclarationDanger, declarationDangers } from './danger.ts';
export {
  type Declaration,
  declarationBody,
  declarationsToken,
  type Item,
  KINDS,
  type Kind,
  kindOf,
  knownType,
  serverToken,
  TYPES,
} from './declaration.ts';
export { newestFor, type OsRelease, parseReleases } from './gdmf.ts';
export { type Ask, consistent, itemsAnswer, type Manifest, parseEndpoint, tokensAnswer } from './protocol.ts';
export { type DeclarationState, parseStatusReport, type StatusReport } from './status.ts';
export { SUBSCRIBED } from './status-items.ts';
