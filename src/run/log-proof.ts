import { readFile, writeFile } from 'node:fs/promises';
import { equalBytes } from '#base';
import {
  decodeEntries,
  encodeProofFile,
  entriesPath,
  type LogReader,
  leafHash,
  parseCheckpoint,
  TILE_WIDTH,
  Tree,
  tilePath,
} from '#proof';
import { RunError } from './config.ts';
import { logFolder } from './log-verify.ts';

const cannot = (what: string) => new RunError('usage', what);
const textOf = (note: string) => note.slice(0, note.lastIndexOf('\n\n') + 1);
const wide = (index: number, size: number) => Math.min(TILE_WIDTH, size - index * TILE_WIDTH);

async function must(reader: LogReader, path: string): Promise<Uint8Array> {
  const bytes = await reader.read(path);
  if (bytes === undefined) throw cannot(`This log lacks ${path}. Verify it first: bartizan log verify.`);
  return bytes;
}

/** The tree of the log's first `size` leaves, from its tiles. */
async function readTree(reader: LogReader, size: number, present: number): Promise<Tree> {
  const tree = new Tree();
  for (let index = 0; index * TILE_WIDTH < size; index += 1) {
    const hashes = Buffer.from(await must(reader, tilePath(0, index, wide(index, present))));
    for (let i = 0; i < wide(index, size); i += 1) tree.append(hashes.subarray(i * 32, i * 32 + 32));
  }
  return tree;
}

/**
 * Writes `<out>.tlog-proof` and `<out>.entry` for an entry of a log folder, under its present checkpoint or a given one
 * that it contains. Throws RunError `usage` where log, checkpoint and entry do not go together.
 */
export async function writeProof(
  dir: string,
  index: string,
  options: { readonly out: string; readonly checkpoint?: string },
): Promise<{ readonly entries: number }> {
  const reader = logFolder(dir);
  const present = Buffer.from(await must(reader, 'checkpoint')).toString();
  const note = options.checkpoint === undefined ? present : await read(options.checkpoint);
  const { size, root } = parseCheckpoint(textOf(note));
  const all = parseCheckpoint(textOf(present)).size;
  const at = /^(0|[1-9][0-9]{0,14})$/.test(index) ? Number(index) : Number.NaN;
  if (!(at < size)) throw cannot(`There is no entry ${index}: this checkpoint covers ${size}, counted from 0.`);
  if (size > all) throw cannot('The checkpoint covers more than this log has: the log is older, or was rolled back.');
  const tree = await readTree(reader, size, all);
  const bundle = Math.floor(at / TILE_WIDTH);
  const entries = decodeEntries(await must(reader, entriesPath(bundle, wide(bundle, all))));
  const entry = entries[at % TILE_WIDTH];
  if (!equalBytes(tree.root(), root) || entry === undefined || !equalBytes(leafHash(entry), tree.subtree(0, at)))
    throw cannot('The log is not what the checkpoint was signed for. Verify it: bartizan log verify.');
  await writeFile(`${options.out}.entry`, entry);
  await writeFile(
    `${options.out}.tlog-proof`,
    encodeProofFile({ index: at, proof: tree.inclusion(at, size), checkpoint: note }),
  );
  return { entries: size };
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RunError('usage', 'The file with the checkpoint cannot be read.', { cause });
  });
}
