export {
  type Checkpoint,
  openCheckpoint,
  parseCheckpoint,
  parseForeignCheckpoint,
  signCheckpoint,
} from './checkpoint.ts';
export {
  type Cosignature,
  type CosignerKey,
  cosign,
  cosignaturesIn,
  cosignerKey,
  parseCosignerKey,
} from './cosignature.ts';
export { ProofError } from './errors.ts';
export { EMPTY_ROOT, leafHash, nodeHash } from './hash.ts';
export { type NoteKey, openNote, parseVerifierKey, signNote, verifierKey } from './note.ts';
export { encodeProofFile, type ProofFile } from './proof-file.ts';
export { verifyConsistency, verifyInclusion } from './proofs.ts';
export {
  decodeEntries,
  ENTRY_BYTES,
  encodeEntries,
  entriesPath,
  hashTile,
  parseTilePath,
  TILE_WIDTH,
  type TileAt,
  tilePath,
  tilesOf,
} from './tiles.ts';
export { Tree } from './tree.ts';
export { type LogReader, type LogReport, verifyLog } from './verify.ts';
