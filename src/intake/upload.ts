import { fromBase64url, HANDLE, Sealed, sha256, toBase64url, uuidv7 } from '#base';
import { decoysFor, freeHandles, inventDecoy, isCountry, type NewPerson, shuffle, tellDecoys, unitFits } from '#people';
import { hpkeOpen, type ImportPermit, keysDigest, outerBytes, sealWrite, signWrite, verifyImportPermit } from '#seal';
import { tx } from '#store';
import type { IntakeDoors } from './doors.ts';
import { IntakeError } from './error.ts';
import { PERSON_FIELDS, type PersonField } from './judged.ts';
import { tagOf } from './secrets.ts';

/** Who a row of the import is to be sealed for. */
export interface Place {
  readonly handle: string;
  /** Versions of name, number and address; all 1 for somebody new. */
  readonly versions: readonly number[];
}

interface Reserved extends Place {
  readonly isNew: boolean;
  readonly tag: Buffer | null;
}

interface Row {
  readonly place: Reserved;
  readonly unit: string;
  readonly state: string;
  readonly values: readonly Buffer[];
}

/** An import that nobody continued for so long may be pushed aside by another. */
const IDLE_MS = 120_000;
const BATCH = 500;
const MOST_PARTS = 2_000;
const DOMAIN = /^[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?\.[a-z]{2,24}$/;

/**
 * One import from a browser at a time: people come sealed, and are kept in memory until all are there. What stops before the end
 * leaves nothing: the page still has everything and sends it again, or begins anew.
 */
export class Upload {
  readonly #doors: IntakeDoors;
  #open: Session | undefined;

  constructor(doors: IntakeDoors) {
    this.#doors = doors;
  }

  /** `hashes`: of the parts of sealed keys that will be asked for, none if the people have no keys. */
  begin(permit: ImportPermit, hashes: readonly string[], source: string): object {
    const now = this.#doors.now();
    mustPermit(this.#doors, permit, 'begin', hashes, now);
    const open = this.#open;
    if (open !== undefined && open.id !== permit.import && now - open.seenAt < IDLE_MS) {
      throw new IntakeError('busy', 'Another import is under way. Try again when it has ended.', { status: 409 });
    }
    this.#open = new Session(this.#doors, permit, hashes, source);
    return {};
  }

  /** The session of an import. Throws IntakeError `again` if there is none: intake was started anew, or another import began. */
  of(id: string): Session {
    if (this.#open?.id !== id) {
      throw new IntakeError('again', 'This import is not known here any more. Nothing was stored; begin it again.', {
        status: 409,
      });
    }
    this.#open.seenAt = this.#doors.now();
    return this.#open;
  }

  async finish(id: string): Promise<object> {
    const answer = await this.of(id).finish();
    this.#open = undefined;
    return answer;
  }

  cancel(id: string): object {
    if (this.#open?.id === id) this.#open = undefined;
    return {};
  }
}

function mustPermit(
  { keys }: IntakeDoors,
  permit: ImportPermit,
  stage: ImportPermit['stage'],
  hashes: readonly string[],
  now: number,
): void {
  const all = hashes.map((hash) => fromBase64url(hash));
  const holds =
    verifyImportPermit(keys.ledger, permit) &&
    permit.stage === stage &&
    permit.keys === keysDigest(keys) &&
    permit.sha256 === toBase64url(sha256(...all)) &&
    permit.notAfter > now;
  if (!holds || hashes.length > MOST_PARTS) {
    throw new IntakeError('not-permitted', 'The ledger’s permit does not cover this import.', { status: 403 });
  }
}

class Session {
  readonly id: string;
  seenAt: number;
  readonly #doors: IntakeDoors;
  readonly #begun: ImportPermit;
  readonly #keyHashes: readonly string[];
  readonly #source: string;
  readonly #reserved = new Map<string, Reserved>();
  readonly #given = new Map<number, readonly Place[]>();
  #hashes: readonly string[] | undefined;
  #domain = '';
  readonly #parts = new Map<number, readonly Row[]>();
  #finishing: Promise<object> | undefined;

  constructor(doors: IntakeDoors, permit: ImportPermit, hashes: readonly string[], source: string) {
    this.#doors = doors;
    this.#begun = permit;
    this.#keyHashes = hashes;
    this.#source = source;
    this.id = permit.import;
    this.seenAt = doors.now();
  }

  /**
   * Places for the next people: `count` of them, or one for each key in `box`, a list that was sealed to intake. Asked twice, the
   * same part gets the same answer.
   */
  async places(part: number, count: number, box: string | undefined): Promise<readonly Place[]> {
    const before = this.#given.get(part);
    if (before !== undefined) return before;
    const keyed = this.#keyHashes.length > 0;
    if (keyed !== (box !== undefined)) throw bad('A part of this import is not as it was announced.');
    const texts = box === undefined ? undefined : this.#openBox(part, box);
    const n = texts?.length ?? count;
    if (n < 1 || n > 1000 || this.#reserved.size + n > this.#begun.count)
      throw bad('These are more people than were announced.');
    const tags = texts?.map((text) => tagOf(this.#doors.secrets, this.#source, 'external', text));
    const known = tags === undefined ? new Map<number, Place>() : await this.#known(tags);
    const fresh = (await freeHandles(this.#doors.pool, n - known.size + 20)).filter((one) => !this.#reserved.has(one));
    const places = Array.from({ length: n }, (_, i): Reserved => {
      const found = known.get(i);
      const tag = tags?.[i] ?? null;
      return found === undefined
        ? { handle: fresh.pop()!, versions: [1, 1, 1], isNew: true, tag }
        : { ...found, isNew: false, tag };
    });
    for (const place of places) this.#reserved.set(place.handle, place);
    const answer = places.map(({ handle, versions }) => ({ handle, versions }));
    this.#given.set(part, answer);
    return answer;
  }

  #openBox(part: number, box: string): readonly string[] {
    const bytes = fromBase64url(box);
    if (toBase64url(sha256(bytes)) !== this.#keyHashes[part])
      throw bad('A part of this import is not the one that was touched for.');
    const aad = Buffer.from(`${this.id}|${part}`);
    const plain = hpkeOpen(this.#doors.secrets.box, bytes, { info: 'bartizan import keys v1', aad });
    try {
      const texts: unknown = JSON.parse(plain.toString('utf8'));
      const sound =
        Array.isArray(texts) && texts.every((one) => typeof one === 'string' && one !== '' && one.length <= 128);
      if (!sound) throw bad('The keys of this import are no list of texts.');
      return texts as string[];
    } finally {
      plain.fill(0);
    }
  }

  async #known(tags: readonly Buffer[]): Promise<Map<number, Place>> {
    const { pool } = this.#doors;
    const gone = await pool.query<{ n: number }>('select people.import_gone($1, $2) as n', [this.#source, tags]);
    if (gone.rows[0]!.n > 0) {
      throw new IntakeError('gone', `${gone.rows[0]!.n} of these people have left and do not come back by an import.`, {
        status: 409,
      });
    }
    const { rows } = await pool.query<{ n: number; handle: string; versions: string[] }>(
      'select * from people.import_known($1, $2)',
      [this.#source, tags],
    );
    return new Map(rows.map(({ n, handle, versions }) => [n - 1, { handle, versions: versions.map(Number) }]));
  }

  /** What will be sent, part by part; `domain` is that of most addresses, for the decoys. */
  send(permit: ImportPermit, hashes: readonly string[], domain: string): object {
    mustPermit(this.#doors, permit, 'send', hashes, this.#doors.now());
    if (permit.import !== this.id || permit.count !== this.#begun.count || permit.admin !== this.#begun.admin) {
      throw new IntakeError('not-permitted', 'The ledger’s permit is for another import.', { status: 403 });
    }
    if (!DOMAIN.test(domain)) throw bad('The domain of the addresses is none.');
    this.#hashes = hashes;
    this.#domain = domain;
    return {};
  }

  /** Takes one part: a line for each person, cells apart by tabs. Signs each value as this process. */
  part(n: number, text: string): object {
    const bytes = Buffer.from(text);
    if (this.#hashes?.[n] === undefined || toBase64url(sha256(bytes)) !== this.#hashes[n]) {
      throw bad('A part of this import is not the one that was touched for.');
    }
    if (!this.#parts.has(n))
      this.#parts.set(
        n,
        text.split('\n').map((line) => this.#row(line)),
      );
    return { missing: this.missing().missing.length };
  }

  #row(line: string): Row {
    const cells = line.split('\t');
    const [handle = '', unit = '', state = '', ...sealed] = cells;
    const place = HANDLE.test(handle) ? this.#reserved.get(handle) : undefined;
    if (place === undefined || sealed.length !== PERSON_FIELDS.length)
      throw bad('A line of this import is not understood.');
    if (!unitFits(unit) || /\p{Cc}/u.test(unit) || (state !== '' && !isCountry(state)))
      throw bad('A unit or a country is none.');
    const values = PERSON_FIELDS.map((field, i) => {
      const outer = fromBase64url(sealed[i]!);
      if (outer.length !== outerBytes(field)) throw bad('A value of this import has another size.');
      const label = { org: this.#doors.keys.org, subject: handle, field, version: place.versions[i]! };
      return signWrite(this.#doors.pen, label, outer);
    });
    return { place, unit, state, values };
  }

  missing(): { readonly missing: readonly number[] } {
    const all = Array.from(this.#hashes ?? [], (_, n) => n);
    return { missing: all.filter((n) => !this.#parts.has(n)) };
  }

  /** Stores everybody in one transaction, with decoys among them. Asked again, it is the same answer. */
  finish(): Promise<object> {
    this.#finishing ??= this.#store().catch((error: unknown) => {
      this.#finishing = undefined;
      throw error;
    });
    return this.#finishing;
  }

  async #store(): Promise<object> {
    if (this.#hashes === undefined || this.missing().missing.length > 0) throw bad('Parts of this import are missing.');
    const rows = [...this.#parts.values()].flat();
    const once = new Set(rows.map(({ place }) => place.handle));
    if (rows.length !== this.#begun.count || once.size !== rows.length)
      throw bad('Not everybody is in this import once.');
    const fresh = rows.filter(({ place }) => place.isNew);
    const decoys = fresh.length === 0 ? [] : await this.#decoys(fresh);
    const all = [...rows, ...decoys];
    shuffle(all);
    await tx(this.#doors.pool, async (t) => {
      const { rows: said } = await t.query<{ first: boolean }>('select people.import_sent($1, $2, $3) as first', [
        ...[this.id, all.length, this.#begun.admin],
      ]);
      if (!said[0]!.first) return;
      for (let at = 0; at < all.length; at += BATCH) {
        const part = all.slice(at, at + BATCH);
        const column = <T>(of: (row: Row) => T) => part.map(of);
        await t.query('select people.import_batch($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
          ...[
            this.#source,
            column(({ place }) => place.isNew),
            column(() => uuidv7()),
            column(({ place }) => place.handle),
          ],
          ...[column(({ unit }) => unit), column(({ state }) => state), column(({ place }) => place.tag)],
          ...[part.flatMap(({ place }) => place.versions), part.flatMap(({ values }) => values)],
        ]);
      }
    });
    return { people: rows.length, known: rows.length - fresh.length };
  }

  /** As many as every import has, told to the ledger before they are stored. Nobody's name is known here: they bear ours. */
  async #decoys(fresh: readonly Row[]): Promise<Row[]> {
    const { pool, ledger, keys, pen, secrets } = this.#doors;
    const count = decoysFor(fresh.length);
    const handles = (await freeHandles(pool, count + 20)).filter((one) => !this.#reserved.has(one)).slice(0, count);
    await tellDecoys(ledger, handles);
    const likes: NewPerson[] = fresh.map(({ unit, state }) => ({
      ...{ given: new Sealed(''), family: new Sealed(''), mobile: new Sealed('') },
      ...{ email: new Sealed(`x@${this.#domain}`), unit, memberState: state },
    }));
    return handles.map((handle) => {
      const decoy = inventDecoy(likes);
      const name = decoy.given.use((given) => decoy.family.use((family) => new Sealed(`${given} ${family}`)));
      const texts: Record<PersonField, Sealed<string>> = { name, number: decoy.mobile, email: decoy.email };
      const seal = (field: PersonField) =>
        sealWrite({ keys, pen, subject: handle, field, version: 1, value: texts[field] });
      const tag = this.#keyHashes.length > 0 ? tagOf(secrets, this.#source, 'external', `${handle} ${uuidv7()}`) : null;
      const place: Reserved = { handle, versions: [1, 1, 1], isNew: true, tag };
      return { place, unit: decoy.unit, state: decoy.memberState, values: PERSON_FIELDS.map(seal) };
    });
  }
}

const bad = (message: string) => new IntakeError('bad-request', message);
