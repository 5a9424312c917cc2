import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  type Member,
  markPlace,
  openTarget,
  packSet,
  placeOf,
  type SetFacts,
  type SetName,
  type TargetSettings,
} from '#backup';
import { BartizanError, toBase64url } from '#base';
import { readAgeRecipient } from '#seal';
import { type DumpSource, dumpMembers, type FolderSource, folderMembers } from './backup/contents.ts';

// One set's backup, under the user that owns the set: no other process sees its files, and the guards load none of this.
// Takes an order as JSON on standard input, answers with one line of JSON.

export type Order =
  | { readonly do: 'place'; readonly set: SetName; readonly target: TargetSettings }
  | { readonly do: 'list'; readonly target: TargetSettings }
  | { readonly do: 'remove'; readonly target: TargetSettings; readonly names: readonly string[] }
  | {
      readonly do: 'write';
      readonly facts: SetFacts;
      readonly name: string;
      readonly target: TargetSettings;
      readonly recipients: readonly string[];
      /** Folder of the key that signs this set. */
      readonly keyFolder: string;
      readonly folders: readonly FolderSource[];
      readonly dump?: DumpSource;
    };

export interface Written {
  readonly bytes: number;
  readonly sha256: string;
  readonly signer: string;
  readonly files: number;
}

async function perform(order: Order): Promise<unknown> {
  const target = openTarget(order.target);
  switch (order.do) {
    case 'place':
      return placeOf(order.set, order.target);
    case 'list':
      return { files: await target.list() };
    case 'remove':
      for (const name of order.names) await target.remove(name);
      return {};
    case 'write':
      return write(order);
    default:
      return order satisfies never;
  }
}

async function write(order: Extract<Order, { do: 'write' }>): Promise<Written> {
  const target = openTarget(order.target);
  const key = signingKey(order.keyFolder);
  const signer = { key, spki: toBase64url(createPublicKey(key).export({ format: 'der', type: 'spki' })) };
  const hash = createHash('sha256');
  let bytes = 0;
  let files = 0;
  const members = (async function* (): AsyncGenerator<Member> {
    if (order.dump !== undefined) for await (const member of dumpMembers(order.dump)) yield member;
    for (const folder of order.folders)
      for await (const member of folderMembers(folder)) {
        files += 1;
        yield member;
      }
  })();
  const packed = (async function* () {
    const recipients = order.recipients.map(readAgeRecipient);
    for await (const part of packSet({ facts: order.facts, members, recipients, signer })) {
      hash.update(part);
      bytes += part.length;
      yield part;
    }
  })();
  markPlace(order.facts.set, order.target);
  await target.put(order.name, packed);
  const sha256 = toBase64url(hash.digest());
  // What cannot be read back is no backup.
  const again = createHash('sha256');
  for await (const part of target.get(order.name)) again.update(part);
  if (toBase64url(again.digest()) !== sha256) {
    await target.remove(order.name);
    throw new BartizanError(
      'not-durable',
      'What was read back is not what was written. Nothing was kept; check the place.',
    );
  }
  return { bytes, sha256, signer: signer.spki, files };
}

/** The key that signs this set; made at its first backup, and part of it. */
function signingKey(folder: string): KeyObject {
  const path = join(folder, 'backup.key');
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(path, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  }
  return createPrivateKey(readFileSync(path));
}

if (import.meta.main) {
  process.on('SIGUSR1', () => {});
  try {
    const answer = await perform(JSON.parse(await text(process.stdin)) as Order);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  } catch (error) {
    const known = error instanceof BartizanError;
    const code = known ? error.code : String((error as NodeJS.ErrnoException).code ?? 'internal');
    const message = known ? error.message : `The backup failed (${code}). Earlier backups are untouched.`;
    process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
    process.exitCode = 1;
  }
}
