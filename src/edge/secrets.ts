import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toBase64url } from '#base';
import { x25519Raw } from '#seal';
import type { Speaker } from '#wire';
import { EdgeError } from './error.ts';

/** What edge keeps for itself besides its registration key. Neither opens anything that is stored in the database. */
export interface EdgeSecrets {
  /** X25519: the guards seal to it what they release to a device. */
  readonly release: KeyObject;
  /** Turns the names of users into channels' keys. */
  readonly channels: Buffer;
}

/** Makes both once and returns the public half of the release key, base64url. Refuses if they are there. */
export function makeEdgeSecrets(state: string): { release: string } {
  const [release, channels] = [join(state, 'release.key'), join(state, 'channels.key')];
  if (existsSync(release) || existsSync(channels)) throw new EdgeError('secrets', 'There are keys of edge already.');
  const { privateKey } = generateKeyPairSync('x25519');
  writeFileSync(release, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  writeFileSync(channels, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' });
  return { release: toBase64url(x25519Raw(privateKey)) };
}

/** Reads both; `published` is the release key that the guards know. Throws EdgeError `secrets`. */
export function readEdgeSecrets(state: string, published: string): EdgeSecrets {
  let release: KeyObject;
  let channels: Buffer;
  try {
    release = createPrivateKey(readFileSync(join(state, 'release.key')));
    channels = Buffer.from(readFileSync(join(state, 'channels.key'), 'utf8'), 'hex');
  } catch (cause) {
    throw new EdgeError('secrets', 'Edge’s own keys cannot be read. Restore them from the backup of edge.', { cause });
  }
  if (channels.length !== 32) throw new EdgeError('secrets', 'The key of the user channels is damaged. Restore it.');
  if (toBase64url(x25519Raw(release)) !== published) {
    throw new EdgeError('secrets', 'The release key is not the one of this installation. Restore it.');
  }
  return { release, channels };
}

/** What stands for a user in the database: a keyed hash, the same at every visit; null for the device's own channel. */
export function channelKey(secrets: EdgeSecrets, speaker: Speaker): Buffer | null {
  const { channel, udid } = speaker;
  if (channel === undefined) return null;
  return channel.id.use((id) =>
    createHmac('sha256', secrets.channels).update(`${channel.kind}\n${udid}\n${id}`).digest(),
  );
}
