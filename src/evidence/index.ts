export { askAuthority } from './ask-authority.ts';
export { askWitness } from './ask-witness.ts';
export { EvidenceError } from './error.ts';
export { EvidenceFolder } from './folder.ts';
export { type EvidenceState, evidenceState, pruneEvidence, remakeFiles } from './keep.ts';
export { checkEvidence, type EvidenceSettings, evidenceFile, NO_EVIDENCE, SettingsFile } from './settings.ts';
export { logId } from './shown.ts';
export { stampCheckpoints, tellSilence } from './stamps.ts';
export { type EvidenceOptions, showWitnesses } from './witnesses.ts';
