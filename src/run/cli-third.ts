import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { combineShares } from '#backup';
import { fromBase64url, sha256, toBase64url } from '#base';
import {
  BOX_BYTES,
  openBox,
  RECOVERY_BOX,
  recoveryIdentity,
  SealError,
  sealBox,
  shape,
  type ThirdBox,
  x25519Private,
} from '#seal';
import { readCards } from './cards.ts';
import { RunError } from './config.ts';

const { object, oneOf, text, base64url, list } = shape;
const asked = object({
  v: oneOf(1),
  org: text(100),
  key: base64url(32),
  recovery: base64url(BOX_BYTES),
  keys: list(object({ admin: text(63), credential: base64url(1, 1023), key: base64url(32) }), 200, 1),
});

function readAsked(file: string): ReturnType<typeof asked> {
  let read: unknown;
  try {
    read = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RunError('usage', 'This file cannot be read as JSON. Fetch it again on glass, under Third lock.', {
      cause,
    });
  }
  try {
    return asked(read);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    const why = 'This is not the file that glass gives under Third lock, or nobody in it waits for the third lock.';
    throw new RunError('usage', why, { cause: error });
  }
}

/** The seed out of the recovery key's box, in boxes for the passkeys that are named. Throws RunError, BackupError. */
async function recover(file: string, out: string, say: (line: string) => void): Promise<void> {
  const { org, key: third, recovery: box, keys } = readAsked(file);
  process.stderr.write(
    'Boxes are made for these passkeys. Compare each with its owner, who sees the end of it on glass:\n',
  );
  for (const { admin, credential, key } of keys) {
    process.stderr.write(`  ${admin}  …${credential.slice(-8)}  ${toBase64url(sha256(key)).slice(0, 16)}\n`);
  }
  const { seed: cards } = await combineShares(await readCards());
  const identity = recoveryIdentity(cards, 'organisation');
  cards.fill(0);
  let seed: Buffer;
  try {
    seed = openBox({ org, third, whose: RECOVERY_BOX, key: x25519Private(identity), box });
  } catch (cause) {
    throw new RunError('usage', 'These cards do not open this third lock. Nothing was written.', { cause });
  } finally {
    identity.fill(0);
  }
  const boxes: ThirdBox[] = keys.map(({ credential, key }) => ({
    credential,
    box: sealBox({ org, third, whose: credential, to: fromBase64url(key), seed }),
  }));
  seed.fill(0);
  boxes.sort((a, b) => (a.credential < b.credential ? -1 : 1));
  writeFileSync(out, `${JSON.stringify({ v: 1, key: third, boxes })}\n`);
  say(`${boxes.length} ${boxes.length === 1 ? 'box is' : 'boxes are'} in ${out}. Bring it to glass, under Third lock.`);
}

/** `bartizan third-lock`: what is done with the recovery cards, on a machine without network. */
export function thirdCommand(program: Command, say: (line: string) => void): void {
  program
    .command('third-lock')
    .description('the third lock (docs/high-threat.md)')
    .command('recover')
    .description('make boxes for new passkeys with three of the five cards on standard input')
    .argument('<file>', 'third-lock.json, as glass gives it')
    .option('--out <file>', 'where the boxes go', 'boxes.json')
    .action((file: string, { out }: { out: string }) => recover(file, out, say));
}
