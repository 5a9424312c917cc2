import { randomBytes, type webcrypto } from 'node:crypto';
import type { Page } from 'playwright-core';
import { proofBytes } from '../../src/api/proof.ts';

/** What we use of the browser's IndexedDB; the types of pages are not those of tests. */
interface Asked<T> {
  readonly result: T;
  onsuccess: () => void;
  onerror: () => void;
}
interface Database {
  transaction(store: string): { objectStore(name: string): { get(key: string): Asked<webcrypto.CryptoKeyPair> } };
  close(): void;
}
declare const indexedDB: { open(name: string, version: number): Asked<Database> };

interface Signed {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly statement: string;
  readonly head: string;
}

/** Asks what no button of the page asks, with the session's own key: what whoever sits at this browser could do. The status. */
export async function asThisBrowser(page: Page, method: string, path: string, body: string): Promise<number> {
  const time = Date.now();
  const nonce = randomBytes(16).toString('base64url');
  const asked = { console: new URL(page.url()).origin, method, path, body: Buffer.from(body) };
  const statement = Buffer.from(proofBytes(asked, time, nonce)).toString('utf8');
  return page.evaluate(send, { method, path, body, statement, head: `${time}.${nonce}` });
}

/** In the page: the key can be used there and nowhere else. */
async function send({ method, path, body, statement, head }: Signed): Promise<number> {
  const asked = <T>(request: Asked<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error('The browser’s store did not open.'));
    });
  const open = await asked(indexedDB.open('bartizan', 1));
  const pair = await asked(open.transaction('keys').objectStore('keys').get('present'));
  open.close();
  const bytes = new TextEncoder().encode(statement);
  const signed = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes);
  const signature = btoa(String.fromCharCode(...new Uint8Array(signed)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
  const headers = {
    ...{ 'x-bartizan': '1', 'content-type': 'application/json' },
    'x-bartizan-proof': `${head}.${signature}`,
  };
  return (await fetch(path, { method, headers, body })).status;
}
