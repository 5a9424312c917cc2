import { createHash } from 'node:crypto';
import { newExtras } from './commands-more.ts';
import type { Send } from './http.ts';
import { done, failed, type Outcome } from './outcome.ts';
import type { PhoneState } from './phone-state.ts';
import { decodePlist, dict, type PlistDict, type PlistValue, text } from './plist.ts';

/** A package that the manifest named and the phone has yet to fetch. */
export interface PendingApp {
  readonly identifier: string;
  readonly version: string;
  readonly url: string;
  readonly partBytes: number;
  readonly hashes: readonly string[];
  readonly configuration: PlistValue | null;
}

/**
 * InstallApplication with a ManifestURL: the manifest is fetched before the phone answers, the package afterwards. Undefined for
 * any other command.
 */
export async function beginInstall(
  send: Send,
  state: PhoneState,
  command: PlistDict,
): Promise<{ outcome: Outcome; pending?: PendingApp } | undefined> {
  const url = command['ManifestURL'];
  if (command['RequestType'] !== 'InstallApplication' || typeof url !== 'string') return undefined;
  let pending: PendingApp;
  try {
    const answer = await send('GET', url);
    if (answer.status !== 200) throw new SyntaxError('the manifest is not there');
    pending = { ...readManifest(answer.body), configuration: command['Configuration'] ?? null };
  } catch {
    return { outcome: failed(12025, 'The manifest could not be used.') };
  }
  setApp(state, pending, 'Installing');
  return { outcome: done({ Identifier: pending.identifier, State: 'Installing' }), pending };
}

/** Fetches the package and checks every part against the manifest; the app is managed then, or has failed. */
export async function finishInstall(send: Send, state: PhoneState, pending: PendingApp): Promise<void> {
  const whole = createHash('sha256');
  try {
    const { status, body } = await send('GET', pending.url);
    if (status !== 200) throw new SyntaxError('the package is not there');
    const parts = Math.ceil(body.length / pending.partBytes);
    if (parts !== pending.hashes.length || body.length === 0) throw new SyntaxError('the package has another length');
    for (const [n, hash] of pending.hashes.entries()) {
      const part = body.subarray(n * pending.partBytes, (n + 1) * pending.partBytes);
      if (createHash('sha256').update(part).digest('hex') !== hash) throw new SyntaxError('a part differs');
    }
    setApp(state, pending, 'Managed', whole.update(body).digest('hex'));
  } catch {
    setApp(state, pending, 'Failed');
  }
}

function setApp(state: PhoneState, pending: PendingApp, status: string, sha256?: string): void {
  state.extras ??= newExtras();
  const { identifier, version, configuration } = pending;
  const app = { identifier, name: identifier, version, managed: true, configuration, status };
  const others = state.extras.apps.filter((one) => one.identifier !== identifier);
  state.extras.apps = [...others, { ...app, ...(sha256 === undefined ? {} : { sha256 }) }];
}

function readManifest(bytes: Buffer): Omit<PendingApp, 'configuration'> {
  const [item] = dict(decodePlist(bytes))['items'] as readonly PlistValue[];
  const { assets, metadata } = dict(item);
  const asset = (assets as readonly PlistValue[]).map(dict).find((one) => one['kind'] === 'software-package')!;
  const about = dict(metadata);
  const hashes = asset['sha256s'];
  if (about['kind'] !== 'software' || !Array.isArray(hashes)) throw new SyntaxError('this is no manifest of an app');
  return {
    ...{ identifier: text(about, 'bundle-identifier'), version: text(about, 'bundle-version') },
    ...{ url: text(asset, 'url'), partBytes: Number(asset['sha256-size']), hashes: hashes.map(String) },
  };
}
