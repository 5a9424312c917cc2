import type { PlainPerson } from '../../../../src/people/judge.ts';
import type { Assertion, ImportPeople, ImportPermit, PublicKeys } from '../../../../src/seal/messages.ts';
import { fromBase64url, toBase64url } from '../../shared/bytes.ts';
import { Problem } from '../../shared/problem.ts';
import { type Known, touch } from '../passkey.ts';
import { post } from '../server.ts';
import { hashOf, type Parts, permitHolds } from './permit.ts';
import { keysDigest } from './pin.ts';
import { KEYS_A_PART, type Place, sealKeys } from './seal.ts';

const PARTS_AT_ONCE = 4;

const packed = (hashes: readonly Uint8Array[]) => hashes.map((one) => toBase64url(one));

/** An import on its way. The keys are those that the page was given; the ledger's permit says whether they are the right ones. */
export interface Sending {
  readonly keys: PublicKeys;
  readonly id: string;
  readonly count: number;
}

/**
 * A touch over an import, and the ledger's permit for it. Throws if the permit is not signed by the ledger that this browser
 * knows, over exactly this: then nothing has left the browser.
 */
async function permitted(
  { keys, id, count }: Sending,
  signer: Known,
  stage: ImportPeople['stage'],
  hashes: readonly Uint8Array<ArrayBuffer>[],
): Promise<ImportPermit> {
  const document: ImportPeople = {
    ...{ v: 1, op: 'import', id: crypto.randomUUID(), import: id, admin: signer.admin, stage, count },
    sha256: toBase64url(await hashOf(new Uint8Array(await new Blob([...hashes]).arrayBuffer()))),
    keys: await keysDigest(keys),
    notAfter: Date.now() + 9 * 60_000,
  };
  const { assertion } = await touch(document, signer.credential);
  const { permit } = await post<{ permit: ImportPermit }>('/api/import/permit', { document, assertion } satisfies {
    document: ImportPeople;
    assertion: Assertion;
  });
  if (!(await permitHolds(keys.ledger, permit, document))) {
    throw new Error(
      'The ledger’s permit does not hold, so nothing was sent. Tell your security team: this should never happen.',
    );
  }
  return permit;
}

/** First touch: places for everybody, in the order of `people`. */
export async function begin(
  sending: Sending,
  signer: Known,
  people: readonly PlainPerson[],
  source: string,
  told: (done: number) => void,
): Promise<Place[]> {
  const { keys, id } = sending;
  const boxes = await sealKeys(keys, id, people);
  const hashes = await Promise.all(boxes.map((box) => hashOf(fromBase64url(box))));
  const permit = await permitted(sending, signer, 'begin', hashes);
  await post('/api/import/begin', { permit, hashes: packed(hashes), source });
  const places: Place[] = [];
  for (let part = 0; places.length < people.length; part += 1) {
    const box = boxes[part];
    const count = Math.min(KEYS_A_PART, people.length - places.length);
    const asked = { import: id, part, count, ...(box === undefined ? {} : { box }) };
    const answer = await post<{ places: Place[] }>('/api/import/places', asked);
    if (answer.places.length !== count) throw new Error('The answer does not fit what was asked. Nothing was sent.');
    places.push(...answer.places);
    told(places.length);
  }
  return places;
}

/** Second touch: over the count and the hash of everything that is sent. */
export async function announce(sending: Sending, signer: Known, parts: Parts, domain: string): Promise<void> {
  const permit = await permitted(sending, signer, 'send', parts.hashes);
  await post('/api/import/send', { permit, hashes: packed(parts.hashes), domain });
}

/** Sends what is missing; may be called again after a failure. Throws Problem. */
export async function sendParts(
  { id }: Sending,
  { texts }: Parts,
  signal: AbortSignal,
  told: (done: number) => void,
): Promise<void> {
  const { missing } = await post<{ missing: number[] }>('/api/import/missing', { import: id });
  let next = 0;
  let done = texts.length - missing.length;
  told(done);
  const lane = async () => {
    for (let n = next++; n < missing.length; n = next++) {
      signal.throwIfAborted();
      const part = missing[n]!;
      await again(() => post('/api/import/part', { import: id, part, text: texts[part]! }), signal);
      done += 1;
      told(done);
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, lane));
}

/** A part that did not get through is tried a few times more. */
async function again(work: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await work();
      return;
    } catch (error) {
      const passing = error instanceof Problem && (error.status === 0 || error.status === 503);
      if (!passing || attempt >= 4 || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * attempt));
    }
  }
}

export const finish = ({ id }: Sending) =>
  post<{ people: number; known: number }>('/api/import/finish', { import: id });
export const cancel = ({ id }: Sending) => post('/api/import/cancel', { import: id }).catch(() => {});

/** The domain of most addresses: decoys get one of it. */
export function commonDomain(people: readonly PlainPerson[]): string {
  const counts = new Map<string, number>();
  for (const { email } of people) {
    const domain = email.slice(email.lastIndexOf('@') + 1);
    counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}
