import { randomInt } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import { newPersonHandle, Sealed, uuidv7 } from '#base';
import {
  canaryAddress,
  canaryTag,
  type Field,
  type GuardClient,
  type Pen,
  type PublicKeys,
  sealWrite,
  THIRD_BYTES,
} from '#seal';
import { type Pool, tx } from '#store';
import type { RefusedLine } from './csv.ts';
import { decoysFor, inventDecoy } from './decoy.ts';
import { PeopleError } from './error.ts';
import { DEFAULT_NUMBERS, judgeFile, type NumberPolicy } from './judge.ts';
import { type NewPerson, newPerson } from './row.ts';

export const MAX_BYTES = 5 * 1024 * 1024;
const BATCH = 500;

export interface ImportDoors {
  /** As bartizan_intake. */
  readonly pool: Pool;
  /** Intake's own socket of the ledger. */
  readonly ledger: GuardClient;
  readonly keys: PublicKeys;
  /** What counts as a mobile number here. */
  readonly numbers?: NumberPolicy;
  /** What intake signs each value with. */
  readonly pen: Pen;
}

export interface ImportResult {
  readonly accepted: number;
  /** By line and code, at most 1000; never a value. Not empty if and only if nothing was stored. */
  readonly refused: readonly RefusedLine[];
  /** Handles of all rows that were stored, sorted, decoys among them. */
  readonly handles: readonly string[];
}

/**
 * Reads a directory file (CSV after RFC 4180, UTF-8, header `given_name,family_name,email,mobile,unit,member_state`) and
 * seals everybody in it. One bad row refuses the whole file. `bytes` are zeroed. Decoys are told to the ledger before they
 * are stored: a crash in between leaves decoys that nobody can ask for, and no decoy that the ledger does not know.
 * With `canaries` everybody in the file is a decoy, whose number and mailbox are the organisation's own.
 * Throws PeopleError `too-large`, `not-csv`; GuardError if the ledger cannot be told.
 */
export async function importCsv(doors: ImportDoors, bytes: Uint8Array, canaries = false): Promise<ImportResult> {
  const read = readPeople(bytes, withThirdLimit(doors.numbers ?? DEFAULT_NUMBERS, doors.keys));
  if ('refused' in read) return { accepted: 0, refused: read.refused, handles: [] };
  const count = canaries ? 0 : decoysFor(read.people.length);
  const decoys = Array.from({ length: count }, () => inventDecoy(read.people));
  const handles = await freeHandles(doors.pool, read.people.length + decoys.length);
  const rows = [...read.people, ...decoys].map((person, i) => ({ handle: handles[i]!, person }));
  if (canaries) await tellCanaries(doors, handles, read.people);
  else await tellDecoys(doors.ledger, handles.slice(read.people.length));
  shuffle(rows);
  const sealed: SealedPerson[] = [];
  for (const [i, row] of rows.entries()) {
    sealed.push(sealPerson(doors, row.handle, row.person));
    if (i % 20 === 19) await breathe();
  }
  await tx(doors.pool, async (t) => {
    for (let at = 0; at < sealed.length; at += BATCH) {
      const part = sealed.slice(at, at + BATCH);
      const column = <K extends keyof SealedPerson>(key: K) => part.map((one) => one[key]);
      await t.query('select people.import_people($1, $2, $3, $4, $5, $6)', [
        ...[column('handle'), column('unit'), column('memberState')],
        ...[column('name'), column('number'), column('email')],
      ]);
    }
    await t.query('select people.import_done($1, $2)', [uuidv7(), sealed.length]);
  });
  return { accepted: read.people.length, refused: [], handles: [...handles].sort() };
}

/** Under the third lock values are shorter. */
export const withThirdLimit = <P extends object>(policy: P, { third }: Pick<PublicKeys, 'third'>) =>
  third === undefined ? policy : { ...policy, valueBytes: THIRD_BYTES };

/** Reads and judges every row; the bytes are zeroed. */
function readPeople(bytes: Uint8Array, numbers: NumberPolicy): { people: NewPerson[] } | { refused: RefusedLine[] } {
  if (bytes.byteLength > MAX_BYTES)
    throw new PeopleError('too-large', 'A file may have at most 5 MB.', { status: 413 });
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new PeopleError('not-csv', 'The file is not UTF-8 text. Save it as CSV in UTF-8.');
  } finally {
    bytes.fill(0);
  }
  const read = judgeFile(text, numbers, { keys: false });
  return 'refused' in read ? read : { people: read.people.map(newPerson) };
}

interface SealedPerson {
  readonly handle: string;
  readonly unit: string;
  readonly memberState: string;
  readonly name: Buffer;
  readonly number: Buffer;
  readonly email: Buffer;
}

function sealPerson({ keys, pen }: ImportDoors, handle: string, person: NewPerson): SealedPerson {
  // A new handle has no earlier version of anything.
  const seal = (field: Field, value: Sealed<string>) =>
    sealWrite({ keys, pen, subject: handle, field, version: 1, value });
  const name = person.given.use((given) => person.family.use((family) => new Sealed(`${given} ${family}`)));
  return {
    handle,
    unit: person.unit,
    memberState: person.memberState,
    name: seal('name', name),
    number: seal('number', person.mobile),
    email: seal('email', person.email),
  };
}

/** Handles that nobody bears. Intake imports one file at a time, so they stay free; else the insert refuses them. */
export async function freeHandles(pool: Pool, count: number): Promise<string[]> {
  const free = new Set<string>();
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const fresh = new Set<string>();
    while (free.size + fresh.size < count) {
      const handle = newPersonHandle();
      if (!free.has(handle)) fresh.add(handle);
    }
    const { rows } = await pool.query<{ taken: string }>('select people.taken($1) as taken', [[...fresh]]);
    for (const { taken } of rows) fresh.delete(taken);
    for (const handle of fresh) free.add(handle);
    if (free.size >= count) return [...free];
  }
  throw new PeopleError('too-many', 'No free handles were found. Remove people who have left.', { status: 503 });
}

/** Canaries with the tags of their addresses, before they are stored. */
async function tellCanaries(
  doors: ImportDoors,
  handles: readonly string[],
  people: readonly NewPerson[],
): Promise<void> {
  const entries = people.map((person, i) => {
    const tags = [person.mobile, person.email].flatMap((value) =>
      value.use((text) => {
        const address = canaryAddress(text);
        return address === undefined ? [] : [canaryTag(doors.keys.org, address)];
      }),
    );
    return { handle: handles[i]!, tags };
  });
  const live = entries.filter(({ tags }) => tags.length > 0);
  for (let at = 0; at < live.length; at += 200) {
    await doors.ledger.call('canaries', { entries: live.slice(at, at + 200) }, { timeoutMs: 15_000 });
  }
}

export async function tellDecoys(ledger: GuardClient, handles: readonly string[]): Promise<void> {
  for (let at = 0; at < handles.length; at += 1000) {
    await ledger.call('decoys', { handles: handles.slice(at, at + 1000) }, { timeoutMs: 15_000 });
  }
}

/** Fisher and Yates, with a good random source: the order of rows tells nothing. */
export function shuffle<T>(list: T[]): void {
  for (let i = list.length - 1; i > 0; i -= 1) {
    const j = randomInt(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}
