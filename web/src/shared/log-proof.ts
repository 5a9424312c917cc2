import { fromBase64url, utf8 } from './bytes.ts';

/** The log's signed state: how many entries it had, and the hash over all of them. */
interface Checkpoint {
  readonly size: number;
  readonly root: Uint8Array;
}

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);

async function hash(first: number, ...parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  bytes[0] = first;
  let at = 1;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

/**
 * The checkpoint (C2SP signed note and tlog-checkpoint) if the log's key signed it, else undefined. `verifier` is
 * `<name>+<hash>+<base64>` as the installation publishes it.
 */
async function checkpointOf(note: string, verifier: string): Promise<Checkpoint | undefined> {
  // The key is base64, which has plus signs of its own.
  const [, name, key] = /^([^\s+]+)\+[0-9a-f]{8}\+([A-Za-z0-9+/]+={0,2})$/u.exec(verifier) ?? [];
  const cut = note.lastIndexOf('\n\n');
  if (name === undefined || key === undefined || cut < 0) return undefined;
  const text = note.slice(0, cut + 1);
  const [origin, size, root] = text.split('\n');
  const line = note
    .slice(cut + 2)
    .split('\n')
    .find((one) => one.startsWith(`\u2014 ${name} `));
  if (line === undefined || origin !== name || size === undefined || root === undefined) return undefined;
  const raw = fromBase64(key).slice(1);
  const imported = await crypto.subtle.importKey('raw', raw, { name: 'Ed25519' }, false, ['verify']);
  const signature = fromBase64(line.slice(name.length + 3)).slice(4);
  if (!(await crypto.subtle.verify({ name: 'Ed25519' }, imported, signature, utf8(text)))) return undefined;
  return { size: Number(size), root: fromBase64(root) };
}

/** Whether the leaf is in the log that the checkpoint signs: RFC 9162 section 2.1.3.2, in this page. Never throws. */
export async function isInLog(
  entry: { readonly leaf: number; readonly envelope: string; readonly proof: readonly string[] },
  note: string,
  verifier: string,
): Promise<boolean> {
  try {
    const checkpoint = await checkpointOf(note, verifier);
    if (checkpoint === undefined || entry.leaf >= checkpoint.size) return false;
    let fn = entry.leaf;
    let sn = checkpoint.size - 1;
    let top = await hash(0, utf8(entry.envelope));
    for (const sibling of entry.proof.map(fromBase64url)) {
      if (sn === 0) return false;
      if (fn % 2 === 1 || fn === sn) {
        top = await hash(1, sibling, top);
        while (fn % 2 === 0 && fn !== 0) {
          fn /= 2;
          sn = Math.floor(sn / 2);
        }
      } else top = await hash(1, top, sibling);
      fn = Math.floor(fn / 2);
      sn = Math.floor(sn / 2);
    }
    return sn === 0 && same(top, checkpoint.root);
  } catch {
    return false;
  }
}
