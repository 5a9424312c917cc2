import { createHash, type Hash, type KeyObject, sign, verify } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { canonicalJson, fromBase64url, type Json, toBase64url } from '#base';
import { AgeReader, AgeWriter, SealError } from '#seal';
import { BackupError } from './error.ts';
import type { SetName } from './sets.ts';
import { TAR_END, TarReader, tarHeader, tarPadding } from './tar.ts';

export const MANIFEST = 'MANIFEST.json';

/** One file on its way into a backup. `parts` yields exactly `size` bytes. */
export interface Member {
  readonly name: string;
  readonly size: number;
  readonly parts: AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** What a set says of itself before its files are listed. */
export interface SetFacts {
  readonly v: 1;
  readonly set: SetName;
  readonly org: string;
  /** The id of the recovery key that opens it. */
  readonly recovery: string;
  /** Same for the sets that were made together. */
  readonly run: string;
  /** When it was begun, milliseconds. */
  readonly at: number;
  /** Version of the product's schema or code, for the reader's message. */
  readonly made: string;
}

/** The last member of a set: every file with its hash, signed by the key of whoever wrote the set. */
export interface Manifest extends SetFacts {
  readonly files: readonly { readonly name: string; readonly size: number; readonly sha256: string }[];
  /** Ed25519 SPKI DER of the writer; its fingerprint is on the installation's sheet. */
  readonly signer: string;
  readonly signature: string;
}

/** A set as bytes: age(gzip(tar)). Readable with `age -d | tar xz`. */
export async function* packSet(options: {
  readonly facts: SetFacts;
  readonly members: AsyncIterable<Member>;
  readonly recipients: readonly Uint8Array[];
  readonly signer: { readonly key: KeyObject; readonly spki: string };
}): AsyncGenerator<Buffer> {
  const writer = new AgeWriter(options.recipients);
  yield writer.head;
  const zipped = Readable.from(tarOf(options)).pipe(createGzip({ level: 1 }));
  for await (const part of zipped) {
    const sealed = writer.push(part as Buffer);
    if (sealed.length > 0) yield sealed;
  }
  yield writer.end();
}

async function* tarOf({ facts, members, signer }: Parameters<typeof packSet>[0]): AsyncGenerator<Buffer> {
  const files: { name: string; size: number; sha256: string }[] = [];
  for await (const { name, size, parts } of members) {
    yield tarHeader(name, size, facts.at);
    const hash = createHash('sha256');
    let seen = 0;
    for await (const part of parts) {
      hash.update(part);
      seen += part.length;
      yield part;
    }
    if (seen !== size)
      throw new BackupError('archive', 'A file changed while it was read. Nothing was kept; try again.');
    yield tarPadding(size);
    files.push({ name, size, sha256: toBase64url(hash.digest()) });
  }
  const body = { ...facts, files, signer: signer.spki };
  const signature = toBase64url(sign(null, Buffer.from(canonicalJson(body as unknown as Json)), signer.key));
  const manifest = Buffer.from(canonicalJson({ ...body, signature } as unknown as Json));
  yield tarHeader(MANIFEST, manifest.length, facts.at);
  yield manifest;
  yield tarPadding(manifest.length);
  yield TAR_END;
}

/** Where a set's files go while it is opened. `name` was checked; it never leads out of the folder. */
export interface Unpacking {
  begin(name: string): Promise<void>;
  write(bytes: Buffer): Promise<void>;
  end(): Promise<void>;
}

/**
 * Opens a set and checks every file against the manifest, and the manifest against its signer. What `into` received counts
 * only once this has returned. Throws BackupError `tampered` or `archive`.
 */
export async function unpackSet(
  source: AsyncIterable<Buffer | Uint8Array>,
  identity: Uint8Array,
  into: Unpacking,
): Promise<Manifest> {
  const seen: { name: string; size: number; sha256: string }[] = [];
  let manifest: Buffer[] | undefined;
  let hash: Hash | undefined;
  const reader = new TarReader({
    begin: async (name, size) => {
      if (manifest !== undefined) throw tampered();
      if (name === MANIFEST) {
        manifest = [];
        return;
      }
      seen.push({ name, size, sha256: '' });
      hash = createHash('sha256');
      await into.begin(name);
    },
    write: async (bytes) => {
      if (manifest !== undefined) manifest.push(bytes);
      else {
        hash!.update(bytes);
        await into.write(bytes);
      }
    },
    end: async () => {
      if (manifest !== undefined) return;
      seen.push({ ...seen.pop()!, sha256: toBase64url(hash!.digest()) });
      await into.end();
    },
  });
  try {
    for await (const part of Readable.from(opened(source, identity)).compose(createGunzip()))
      await reader.push(part as Buffer);
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    if (cause instanceof SealError)
      throw new BackupError('tampered', `${cause.message} Take another copy of it.`, { cause });
    throw new BackupError('tampered', 'The backup was cut or changed. Take another copy of it.', { cause });
  }
  reader.end();
  return check(manifest, seen);
}

async function* opened(source: AsyncIterable<Buffer | Uint8Array>, identity: Uint8Array): AsyncGenerator<Buffer> {
  const reader = new AgeReader(identity);
  for await (const part of source) {
    const plain = reader.push(part);
    if (plain.length > 0) yield plain;
  }
  yield reader.end();
}

const tampered = () =>
  new BackupError('tampered', 'The files of this backup are not those that its manifest lists. Do not use it.');

function check(bytes: readonly Buffer[] | undefined, seen: Manifest['files']): Manifest {
  if (bytes === undefined) throw new BackupError('archive', 'The backup has no manifest: it was never finished.');
  let read: Manifest;
  try {
    read = JSON.parse(Buffer.concat(bytes).toString('utf8')) as Manifest;
  } catch {
    throw tampered();
  }
  const { signature, ...body } = read;
  const spki = { key: Buffer.from(fromBase64url(read.signer)), format: 'der', type: 'spki' } as const;
  const signed = verify(null, Buffer.from(canonicalJson(body as unknown as Json)), spki, fromBase64url(signature));
  if (read.v !== 1 || !signed || canonicalJson(read.files as Json) !== canonicalJson(seen as Json)) throw tampered();
  return read;
}
