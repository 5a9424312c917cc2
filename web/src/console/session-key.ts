import { toBase64url, utf8 } from '../shared/bytes.ts';
import { canonicalJson } from '../shared/canonical.ts';

// The session's key: made here, kept by the browser, never readable as bytes, not even by this page. Whoever steals the
// cookie has nothing without it.
const STORE = 'keys';
const SIGNING = { name: 'ECDSA', namedCurve: 'P-256' } as const;

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open('bartizan', 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function keep<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const open = await database();
  try {
    return await new Promise<T>((resolve, reject) => {
      const asked = work(open.transaction(STORE, mode).objectStore(STORE));
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  } finally {
    open.close();
  }
}

const publicOf = async (pair: CryptoKeyPair): Promise<string> =>
  toBase64url(await crypto.subtle.exportKey('spki', pair.publicKey));

/** Makes the key of a sign-in that is about to begin; the present session keeps its own until that is done. */
export async function newSessionKey(): Promise<string> {
  const pair = await crypto.subtle.generateKey(SIGNING, false, ['sign']);
  await keep('readwrite', (store) => store.put(pair, 'next'));
  return publicOf(pair);
}

/** Puts the key of the sign-in that came back in place of the present one. Its public part, or undefined if there is none. */
export async function takeSessionKey(): Promise<string | undefined> {
  const pair = await keep<CryptoKeyPair | undefined>('readonly', (store) => store.get('next'));
  if (pair === undefined) return undefined;
  await keep('readwrite', (store) => store.put(pair, 'present'));
  return publicOf(pair);
}

/** How far the server's clock is ahead of ours, milliseconds. */
let ahead = 0;

/** Learns the server's time from any of its answers. */
export async function learnTime(): Promise<void> {
  const response = await fetch('/healthz', { cache: 'no-store' });
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isFinite(date)) ahead = date - Date.now();
}

/** Signs one request, so that it counts once, for a minute, and from this browser only. Undefined while there is no key. */
export async function proofFor(
  method: string,
  path: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<string | undefined> {
  const pair = await keep<CryptoKeyPair | undefined>('readonly', (store) => store.get('present')).catch(
    () => undefined,
  );
  if (pair === undefined) return undefined;
  const time = Date.now() + ahead;
  const nonce = toBase64url(crypto.getRandomValues(new Uint8Array(16)));
  const hash = toBase64url(await crypto.subtle.digest('SHA-256', body));
  const statement = { v: 1, op: 'request', console: location.origin, method, path, body: hash, time, nonce };
  const signed = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    pair.privateKey,
    utf8(canonicalJson(statement)),
  );
  return `${time}.${nonce}.${toBase64url(signed)}`;
}
