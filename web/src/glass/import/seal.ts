import type { PlainPerson } from '../../../../src/people/judge.ts';
import type { PublicKeys } from '../../../../src/seal/messages.ts';
import { THIRD_BYTES, THIRD_INFO, THIRD_MARK, THIRD_PADDED } from '../../../../src/seal/third-types.ts';
import { fromBase64url, toBase64url, utf8 } from '../../shared/bytes.ts';
import { breather } from './breathe.ts';
import { type Seal, sealer } from './hpke.ts';

/** Whom a row is sealed for, as intake gave it. */
export interface Place {
  readonly handle: string;
  readonly versions: readonly number[];
}

const FIELDS = ['name', 'number', 'email'] as const;
const PADDED = 128;
/** People whose values are being sealed at the same time: enough to keep WebCrypto busy. */
const LANES = 64;

/** 2-byte big-endian length, UTF-8, zeros: as the guards unpad it. */
function pad(text: string): Uint8Array<ArrayBuffer> {
  const bytes = utf8(text);
  if (bytes.length > PADDED - 2) throw new RangeError('a value is too long');
  const padded = new Uint8Array(PADDED);
  padded[1] = bytes.length;
  padded.set(bytes, 2);
  return padded;
}

/** Fisher and Yates with a good random source: the order in which people are sent tells nothing of the file. */
export function shuffled<T>(list: readonly T[]): T[] {
  const all = [...list];
  const random = new Uint32Array(1);
  for (let i = all.length - 1; i > 0; i -= 1) {
    // 2^32 is so much larger than the list that the remainder favours nobody by more than one in 80 000
    const j = crypto.getRandomValues(random)[0]! % (i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}

/** As `pad`, under the third lock: the guards open it to nothing that they can read (src/seal/third.ts). */
async function thirdPad(seal: Seal, aad: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = utf8(text);
  if (bytes.length > THIRD_BYTES) throw new RangeError('a value is too long');
  const inside = new Uint8Array(THIRD_PADDED);
  inside[1] = bytes.length;
  inside.set(bytes, 2);
  const padded = new Uint8Array(PADDED);
  padded.set([THIRD_MARK >> 8, THIRD_MARK & 0xff]);
  padded.set(await seal(inside, aad), 2);
  inside.fill(0);
  return padded;
}

/** All layers of one value: the third lock if there is one, to the sealer, then to the ledger, bound to org, person, field and version. */
async function sealValue(
  layers: readonly [Seal, Seal],
  third: Seal | undefined,
  aad: Uint8Array<ArrayBuffer>,
  text: string,
): Promise<string> {
  const padded = third === undefined ? pad(text) : await thirdPad(third, aad, text);
  const inner = await layers[0](padded, aad);
  padded.fill(0);
  return toBase64url(await layers[1](inner, aad));
}

/**
 * Seals everybody; a line for each: handle, unit, member state and three sealed values, apart by tabs. `told` hears how many
 * are done. Throws what `signal` was aborted with.
 */
export async function sealPeople(options: {
  readonly keys: PublicKeys;
  readonly people: readonly PlainPerson[];
  readonly places: readonly Place[];
  readonly signal: AbortSignal;
  readonly told: (done: number) => void;
}): Promise<string[]> {
  const { keys, people, places, signal, told } = options;
  const layers = await Promise.all([
    sealer(fromBase64url(keys.inner), 'bartizan inner v1'),
    sealer(fromBase64url(keys.outer), 'bartizan outer v1'),
  ]);
  const third = keys.third === undefined ? undefined : await sealer(fromBase64url(keys.third), THIRD_INFO);
  const breathe = breather();
  const lines: string[] = new Array(people.length);
  let next = 0;
  let done = 0;
  const lane = async () => {
    for (let n = next++; n < people.length; n = next++) {
      signal.throwIfAborted();
      const [person, place] = [people[n]!, places[n]!];
      const texts = { name: `${person.given} ${person.family}`, number: person.mobile, email: person.email };
      const sealed: string[] = [];
      for (const [i, field] of FIELDS.entries()) {
        await breathe();
        const aad = utf8(`${keys.org}|${place.handle}|${field}|${place.versions[i]}`);
        sealed.push(await sealValue(layers, third, aad, texts[field]));
      }
      lines[n] = [place.handle, person.unit, person.memberState, ...sealed].join('\t');
      done += 1;
      told(done);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return lines;
}

const KEYS_INFO = 'bartizan import keys v1';

/** Keys of other systems, sealed to intake in lists of this many: glass passes them on and reads none. */
export const KEYS_A_PART = 500;

export async function sealKeys(keys: PublicKeys, id: string, people: readonly PlainPerson[]): Promise<string[]> {
  if (people[0]!.externalId === '') return [];
  if (keys.intake === undefined) throw new Error('This installation cannot take people by key yet.');
  const seal = await sealer(fromBase64url(keys.intake), KEYS_INFO);
  const boxes: string[] = [];
  for (let at = 0; at < people.length; at += KEYS_A_PART) {
    const texts = people.slice(at, at + KEYS_A_PART).map(({ externalId }) => externalId);
    boxes.push(toBase64url(await seal(utf8(JSON.stringify(texts)), utf8(`${id}|${boxes.length}`))));
  }
  return boxes;
}
