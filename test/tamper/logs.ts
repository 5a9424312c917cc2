import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  cosign,
  cosignerKey,
  encodeEntries,
  entriesPath,
  hashTile,
  leafHash,
  signCheckpoint,
  Tree,
  tilePath,
  tilesOf,
  verifierKey,
} from '#proof';
import type { Trust } from '../../verify/log.ts';
import { readKey } from '../../verify/note.ts';
import { readPolicy } from '../../verify/policy.ts';
import type { Source } from '../../verify/source.ts';

/** Every file of a log by its path. Tampering makes new buffers and never changes one. */
export type Files = ReadonlyMap<string, Buffer>;

export const ORIGIN = 'log.example/org';
const { privateKey: KEY } = generateKeyPairSync('ed25519');
const WITNESSES: readonly (readonly [string, KeyObject])[] = [
  ['witness.example/one', generateKeyPairSync('ed25519').privateKey],
  ['witness.example/two', generateKeyPairSync('ml-dsa-44').privateKey],
];
export const LOG_KEY = verifierKey(ORIGIN, KEY);
export const POLICY_TEXT = [
  `log ${LOG_KEY}`,
  ...WITNESSES.map(([name, key], at) => `witness w${at} ${cosignerKey(name, key)}`),
  ...['group both all w0 w1', 'quorum both', ''],
].join('\n');
const POLICY = readPolicy(Buffer.from(POLICY_TEXT));

/** A whole log of the entries as its owner would write it; `earlier` leaves partial tiles of that size behind. */
export function makeLog(entries: readonly Buffer[], earlier = 0): Map<string, Buffer> {
  const tree = new Tree();
  for (const entry of entries) tree.append(leafHash(entry));
  const files = new Map<string, Buffer>();
  for (const { level, index, width } of [...tilesOf(earlier), ...tilesOf(entries.length)]) {
    if (level === 'entries')
      files.set(entriesPath(index, width), encodeEntries(entries.slice(index * 256, index * 256 + width)));
    else files.set(tilePath(level, index, width), hashTile(tree, level, index, width));
  }
  files.set('checkpoint', checkpointOf(entries, entries.length));
  return files;
}

export function checkpointOf(entries: readonly Buffer[], size: number): Buffer {
  const tree = new Tree();
  for (const entry of entries.slice(0, size)) tree.append(leafHash(entry));
  return Buffer.from(signCheckpoint({ origin: ORIGIN, size, root: tree.root() }, KEY));
}

/** With the cosignatures of both witnesses. */
export function cosigned(checkpoint: Buffer, at: number): Buffer {
  const note = checkpoint.toString();
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
  return Buffer.from(note + WITNESSES.map(([name, key]) => cosign(text, name, key, at)).join(''));
}

/** A log with what an outsider kept of it: an older checkpoint and a newer, cosigned one. */
export interface Case {
  readonly entries: readonly Buffer[];
  readonly files: Files;
  readonly trust: Trust;
  /** Entries under the cosigned checkpoint. */
  readonly vouched: number;
}

export function makeCase(size: number, older: number, vouched: number): Case {
  const entries = Array.from({ length: size }, (_, n) => Buffer.from(`{"n":${n},"digest":"${(n * 7919) % 1009}"}`));
  const kept = [
    { name: 'older', bytes: checkpointOf(entries, older) },
    { name: 'cosigned', bytes: cosigned(checkpointOf(entries, vouched), 1_790_000_000_000) },
  ];
  const trust = { keys: [readKey(LOG_KEY)], policy: POLICY, kept };
  return { entries, files: makeLog(entries, Math.floor(size / 3)), trust, vouched };
}

export const sourceOf = (files: Files): Source => ({
  read: async (path) => files.get(path),
  list: async () => [...files.keys()],
});
