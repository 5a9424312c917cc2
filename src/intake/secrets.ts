import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toBase64url } from '#base';
import { x25519Raw } from '#seal';
import { IntakeError } from './error.ts';

/** What intake keeps for itself. Neither opens anything that is stored: sealing needs public keys only. */
export interface IntakeSecrets {
  /** Turns keys of other systems into tags. */
  readonly tags: Buffer;
  /** X25519: glass's page seals to it the keys of other systems in an import. */
  readonly box: KeyObject;
}

/** Makes both once and returns the public half of the box key, base64url. Refuses if they are there. */
export function makeIntakeSecrets(state: string): { intake: string } {
  const [tags, box] = [join(state, 'tags.key'), join(state, 'box.key')];
  if (existsSync(tags) || existsSync(box)) throw new IntakeError('secrets', 'There are keys of intake already.');
  const { privateKey } = generateKeyPairSync('x25519');
  writeFileSync(tags, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' });
  writeFileSync(box, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  return { intake: toBase64url(x25519Raw(privateKey)) };
}

/** Reads both; `published` is the box key that the pages know. Throws IntakeError `secrets`. */
export function readIntakeSecrets(state: string, published: string | undefined): IntakeSecrets {
  let tags: Buffer;
  let box: KeyObject;
  try {
    tags = Buffer.from(readFileSync(join(state, 'tags.key'), 'utf8'), 'hex');
    box = createPrivateKey(readFileSync(join(state, 'box.key')));
  } catch (cause) {
    throw new IntakeError('secrets', 'Intake’s own keys cannot be read. Restore them from the backup of intake.', {
      cause,
    });
  }
  if (tags.length !== 32) throw new IntakeError('secrets', 'The key of the tags is damaged. Restore it.');
  if (toBase64url(x25519Raw(box)) !== published) {
    throw new IntakeError('secrets', 'Intake’s box key is not the one of this installation. Restore it.');
  }
  return { tags, box };
}

/**
 * What stands for a key of another system in the database: HMAC-SHA256 under intake's key, apart for each source and kind, so
 * that equal keys of two sources look unrelated. userName has no case (RFC 7643 section 4.1.1), externalId has.
 */
export function tagOf(secrets: IntakeSecrets, source: string, kind: TagKind, text: string): Buffer {
  const value = kind === 'user' || kind === 'group' ? text.toLowerCase() : text;
  return createHmac('sha256', secrets.tags).update(`${source}\n${kind}\n${value}`).digest();
}

export type TagKind = 'user' | 'external' | 'group' | 'group-external';
