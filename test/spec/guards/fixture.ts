import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, canonicalJson, fromBase64url, type Json, type Logger, Sealed, toBase64url, uuidv7 } from '#base';
import {
  type Founder,
  foundLedger,
  foundLedgerSearch,
  foundSealer,
  foundSealerSearch,
  LEDGER_CALLERS,
  Ledger,
  type LedgerCaller,
  ledgerDoors,
  ledgerSearchDoors,
  SEALER_CALLERS,
  Sealer,
  type SealerCaller,
  type SealerOptions,
  type SearchSettings,
  sealerDoors,
  sealerSearchDoors,
  serveCaller,
} from '#guard';
import {
  type Assertion,
  type Caps,
  type CommandSet,
  challengeOf,
  DEFAULT_CAPS,
  type Declare,
  type EnrolKey,
  type Field,
  type Grant,
  type GuardClient,
  guardClient,
  hpkeOpen,
  joinNotice,
  newPen,
  type OrgKeyNotice,
  type OrgKeyStatement,
  type Pen,
  type PublicKeys,
  penPublic,
  type Receipt,
  type RotateKey,
  readWritten,
  type SealedRow,
  type Signable,
  sealWrite,
  type Unlock,
  WRITERS,
  WRITES,
  type Writer,
  type Written,
  withOrgKey,
  x25519Raw,
} from '#seal';
import { type AssertionOptions, assertion, newPasskey, type SoftwarePasskey } from '#sim';

export const ORG = 'org-test';
export const ORIGIN = 'http://glass.localhost:8441';
export const SILENT: Logger = { info() {}, warn() {}, error() {} };
export const ADMINS = ['admin-ada', 'admin-ben', 'admin-cleo'] as const;

/** A handle made of a number: the same form as real ones. */
export const person = (n: number): string => `amber-otter-${1000 + n}`;
export const device = (n: number): string => `oak-lantern-${1000 + n}`;

/** A touch on a passkey for a document, as glass's page would get it. */
export function touch(
  passkey: SoftwarePasskey,
  document: Signable,
  options: Partial<AssertionOptions> = {},
): Assertion {
  return assertion(passkey, { challenge: challengeOf(document), origin: ORIGIN, rpId: 'glass.localhost', ...options });
}

export interface Browser {
  readonly key: KeyObject;
  readonly publicKey: string;
}

export function newBrowser(): Browser {
  const { privateKey } = generateKeyPairSync('x25519');
  return { key: privateKey, publicKey: toBase64url(x25519Raw(privateKey)) };
}

/** What the page does with an answer: opens it with the browser's key, bound to the receipt. */
export function readAnswer(browser: Browser, answer: { enc: string; ct: string; receipt: Receipt }) {
  return readWhole(browser, answer).values;
}

/** The same with what is under the third lock, as it came. */
export function readWhole(browser: Browser, answer: { enc: string; ct: string; receipt: Receipt }) {
  const sealed = Buffer.concat([fromBase64url(answer.enc), fromBase64url(answer.ct)]);
  const aad = Buffer.from(canonicalJson(answer.receipt as unknown as Json));
  const plaintext = hpkeOpen(browser.key, sealed, { info: 'bartizan reveal v1', aad });
  return JSON.parse(plaintext.toString()) as {
    values: Record<string, string>;
    third?: Record<string, { version: number; value: string }>;
  };
}

/** Founders with their passkeys and join tokens. */
export function newFounders() {
  return ADMINS.map((admin) => {
    const token = randomBytes(32);
    const founder: Founder = {
      admin,
      role: 'administrator',
      tokenSha256: createHash('sha256').update(token).digest('base64url'),
    };
    return { founder, token: token.toString('base64url'), passkey: newPasskey({ admin }) };
  });
}

/** A pair of guards in this process, on real sockets in a temporary folder, with three founders enrolled. */
export class Guards {
  readonly folder = mkdtempSync(join(tmpdir(), 'btz-g'));
  readonly founders = newFounders();
  readonly caps: Caps;
  /** Stands for edge's release key. */
  readonly edge = newBrowser();
  /** Stands for courier's key, and core's. */
  readonly courier = newBrowser();
  readonly core = generateKeyPairSync('ed25519');
  /** What edge, intake and glass sign values with. */
  readonly pens = Object.fromEntries(WRITERS.map((writer) => [writer, newPen(writer).pen])) as { [one in Writer]: Pen };
  /** How long changes wait at this ledger; none, where a test is about something else. */
  holdMs = 0;
  now: number | undefined;
  /** A clock that nobody can set; goes with `now` unless a test says otherwise. */
  ran: number | undefined;
  unusable = 0;
  patience: { sinkMs: number; hungMs: number } | undefined;
  ledger!: Ledger;
  sealer!: Sealer;
  keys!: PublicKeys;
  /** Where the ledger finds keys that systemd gave it. */
  credentials: string | undefined;
  /** Where the organisation's key is to come from. */
  sources: Pick<SealerOptions, 'keeper' | 'credentials' | 'keySource'> = {};
  /** What can be searched, if anything. */
  search: SearchSettings | undefined;
  #clients: GuardClient[] = [];

  constructor(caps: Partial<Caps> = {}) {
    this.caps = { ...DEFAULT_CAPS, ...caps };
  }

  readonly clock: Clock = () => this.now ?? Date.now();
  readonly elapsed = (): number => this.ran ?? this.clock();

  static async start(
    caps: Partial<Caps> = {},
    holdMs = 0,
    recovery?: string,
    search?: SearchSettings,
  ): Promise<Guards> {
    const guards = new Guards(caps);
    guards.search = search;
    guards.holdMs = holdMs;
    const founders = guards.founders.map((one) => one.founder);
    const pins = WRITERS.map((writer) => ({ writer, key: penPublic(guards.pens[writer]) }));
    const ledgerKeys = await foundLedger(guards.ledgerOptions(), founders, pins, recovery);
    const sealerKeys = await foundSealer(join(guards.folder, 'sealer'), founders, recovery);
    const writers = Object.fromEntries(pins.map(({ writer, key }) => [writer, key])) as PublicKeys['writers'];
    guards.keys = {
      ...{ v: 1, org: ORG, ...ledgerKeys, ...sealerKeys, writers },
      ...{ core: guards.coreKey, release: guards.edge.publicKey, courier: guards.courier.publicKey },
    };
    mkdirSync(join(guards.folder, 'run'));
    if (search !== undefined) {
      await foundLedgerSearch(join(guards.folder, 'ledger'));
      await foundSealerSearch(join(guards.folder, 'sealer'));
    }
    await guards.startLedger();
    await guards.startSealer();
    for (const one of guards.founders) await guards.enrol(one.passkey, one.token);
    return guards;
  }

  ledgerOptions() {
    const state = join(this.folder, 'ledger');
    const onUnusable = () => {
      this.unusable++;
    };
    const { caps, clock, elapsed } = this;
    return {
      org: ORG,
      state,
      logDir: this.logDir,
      origin: ORIGIN,
      caps,
      clock,
      elapsed,
      logger: SILENT,
      onUnusable,
      releaseKey: this.edge.publicKey,
      coreKey: this.coreKey,
      ...(this.patience === undefined ? {} : { patience: this.patience }),
      holdMs: this.holdMs,
      ...(this.keys === undefined ? {} : { orgKey: this.keys.inner }),
      ...(this.credentials === undefined ? {} : { credentials: this.credentials }),
      ...(this.search === undefined || this.keys === undefined ? {} : { search: this.search }),
    };
  }

  get coreKey(): string {
    return toBase64url(this.core.publicKey.export({ format: 'der', type: 'spki' }));
  }

  get logDir(): string {
    return join(this.folder, 'ledger', 'log');
  }

  #socket(guard: string, caller: string): string {
    return join(this.folder, 'run', `${guard}-${caller}`);
  }

  async startLedger(): Promise<void> {
    this.ledger = await Ledger.open(this.ledgerOptions());
    const { search } = this.ledger;
    const doors = { ...ledgerDoors(this.ledger), ...(search === undefined ? {} : ledgerSearchDoors(search)) };
    const closers: { close(): Promise<void> }[] = [];
    for (const caller of LEDGER_CALLERS) {
      closers.push(await serveCaller({ path: this.#socket('ledger', caller), caller, doors, logger: SILENT }));
    }
    this.stopLedger = async () => {
      for (const one of closers) await one.close();
      if (this.ledger.log.usable) await this.ledger.close();
    };
  }

  stopLedger: () => Promise<void> = async () => {};

  async startSealer(): Promise<void> {
    const ledger = guardClient(this.#socket('ledger', 'sealer'), { name: 'ledger' });
    const { caps, clock, elapsed, keys } = this;
    const state = join(this.folder, 'sealer');
    this.sealer = new Sealer({
      org: ORG,
      state,
      origin: ORIGIN,
      caps,
      clock,
      elapsed,
      logger: SILENT,
      ledgerKey: keys.ledger,
      releaseKey: keys.release,
      coreKey: keys.core,
      ...(keys.courier === undefined ? {} : { courierKey: keys.courier }),
      ledger,
      ...(this.search === undefined ? {} : { search: this.search }),
      ...this.sources,
    });
    await this.sealer.loading.catch(() => {});
    const search = await this.sealer.openSearch();
    const doors = { ...sealerDoors(this.sealer), ...(search === undefined ? {} : sealerSearchDoors(search)) };
    const closers: { close(): Promise<void> | void }[] = [ledger, ...(search === undefined ? [] : [search])];
    for (const caller of SEALER_CALLERS) {
      closers.push(await serveCaller({ path: this.#socket('sealer', caller), caller, doors, logger: SILENT }));
    }
    this.stopSealer = async () => {
      for (const one of closers) await one.close();
      await this.sealer.close();
    };
  }

  stopSealer: () => Promise<void> = async () => {};

  /** A client on a caller's socket of a guard. */
  client(guard: 'ledger', caller: LedgerCaller): GuardClient;
  client(guard: 'sealer', caller: SealerCaller): GuardClient;
  client(guard: string, caller: string): GuardClient {
    const client = guardClient(this.#socket(guard, caller), { name: guard });
    this.#clients.push(client);
    return client;
  }

  socketPath(guard: string, caller: string): string {
    return this.#socket(guard, caller);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.stopSealer();
    await this.stopLedger();
    rmSync(this.folder, { recursive: true, force: true });
  }

  passkey(n = 0): SoftwarePasskey {
    return this.founders[n]!.passkey;
  }

  enrolment(passkey: SoftwarePasskey, token: string): EnrolKey {
    const { credential, publicKey } = passkey;
    return { v: 1, op: 'enrol-key', token, credential, publicKey, notAfter: this.clock() + 60_000 };
  }

  async enrol(passkey: SoftwarePasskey, token: string) {
    const enrol = this.enrolment(passkey, token);
    const signed = touch(passkey, enrol);
    await this.client('sealer', 'glass').call('enrol-key', { enrol, assertion: signed });
    return this.client('ledger', 'glass').call('enrol-key', { enrol, assertion: signed });
  }

  /** Seals values as a writer does and has them settled as core does. */
  async settle(values: Record<string, string>, field: Field = 'number', version = 1): Promise<SealedRow[]> {
    const rows = Object.entries(values).map(([subject, value]) => ({
      ...{ subject, field, version },
      ...this.written(subject, value, { field, version }),
    }));
    const core = this.client('ledger', 'core');
    try {
      return (await core.call<{ rows: SealedRow[] }>('settle', { rows })).rows;
    } finally {
      core.close();
    }
  }

  /** A value as one of its writers seals and signs it. */
  written(subject: string, value: string, more: { field?: Field; version?: number; pen?: Pen } = {}): Written {
    const { field = 'number', version = 1 } = more;
    const pen = more.pen ?? this.pens[WRITERS.find((writer) => WRITES[writer].has(field))!];
    const keys = this.writers ?? this.keys;
    return readWritten(field, sealWrite({ keys, pen, subject, field, version, value: new Sealed(value) }))!;
  }

  grant(browser: Browser, subjects: readonly string[], more: Partial<Grant> = {}): Grant {
    return {
      v: 1,
      op: 'reveal',
      id: uuidv7(),
      admin: ADMINS[0],
      field: 'number',
      subjects: [...subjects].sort(),
      purpose: 'a test of the guards',
      notAfter: this.clock() + 300_000,
      browserKey: browser.publicKey,
      ...more,
    };
  }

  /** One whole reveal through both guards; returns the values that the page would show. */
  async reveal(rows: readonly SealedRow[], more: Partial<Grant> = {}, n = 0, glass = this.client('sealer', 'glass')) {
    const browser = newBrowser();
    const grant = this.grant(browser, more.subjects ?? rows.map((row) => row.subject), { admin: ADMINS[n]!, ...more });
    return this.send(glass, browser, grant, touch(this.passkey(n), grant), rows);
  }

  async send(glass: GuardClient, browser: Browser, grant: Grant, signed: Assertion, rows: readonly SealedRow[]) {
    const answer = await glass.call<{ enc: string; ct: string; receipt: Receipt }>('reveal', {
      grant,
      assertion: signed,
      rows,
    });
    return readAnswer(browser, answer);
  }

  commandSet(count: number, more: Partial<CommandSet> = {}): CommandSet {
    const commands = Array.from({ length: count }, (_, n) => ({
      device: device(n),
      uuid: uuidv7(),
      body: randomBytes(32).toString('base64url'),
    }));
    return {
      v: 1,
      op: 'command',
      id: uuidv7(),
      verb: 'EraseDevice',
      commands,
      requester: ADMINS[0],
      purpose: 'a test of the guards',
      notAfter: this.clock() + 3_600_000,
      ...more,
    };
  }

  declare(more: Partial<Declare> = {}): Declare {
    const [token, body] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
    return {
      ...{ v: 1, op: 'declare', id: uuidv7(), declarations: [{ identifier: 'example.vpn', token, body }] },
      ...{ devices: [device(1), device(2)], until: this.clock() + 30 * 86_400_000, requester: ADMINS[0] },
      ...{ purpose: 'a test of the guards', notAfter: this.clock() + 3_600_000 },
      ...more,
    };
  }

  unlock(scope: Unlock['scope'], target = ''): Unlock {
    const id = uuidv7();
    const notAfter = this.clock() + 3_600_000;
    return { v: 1, op: 'unlock', id, scope, target, requester: ADMINS[0], purpose: 'a test of the guards', notAfter };
  }

  /** The document that puts the staged key in force. */
  async staged(more: Partial<RotateKey> = {}): Promise<RotateKey> {
    const { number, key, previous } = await this.client('sealer', 'console').call<RotateKey>('stage', {});
    return {
      ...{ v: 1, op: 'rotate-key', id: uuidv7(), number, key, previous, requester: ADMINS[0] },
      ...{ purpose: 'a test of the guards', notAfter: this.clock() + 3_600_000 },
      ...more,
    };
  }

  /** Two people put a staged key in force at both guards; writers follow. Returns the notice. */
  async promote(document: RotateKey, signers = [0, 1]): Promise<OrgKeyNotice | undefined> {
    const assertions = signers.map((n) => touch(this.passkey(n), document));
    type Said = { notice: { statement: OrgKeyStatement; signature: string } };
    const sealer = await this.client('sealer', 'glass').call<Said>('rotate-key', { document, assertions });
    const ledger = await this.client('ledger', 'glass').call<Said>('rotate-key', { document, assertions });
    const notice = joinNotice(sealer.notice, ledger.notice);
    this.writers = withOrgKey(this.writers ?? this.keys, notice).keys;
    return notice;
  }

  /** What writers seal to, once they have followed a notice. */
  writers: PublicKeys | undefined;

  /** Has rows sealed anew and stored, as core does, until none is left under the old key. Returns the rows. */
  async reseal(rows: readonly SealedRow[]): Promise<SealedRow[]> {
    const core = this.client('sealer', 'core');
    type Resealed = { rows: SealedRow[]; current: Omit<SealedRow, 'row'>[] };
    const first = await core.call<Resealed>('reseal', { rows });
    const name = (row: Omit<SealedRow, 'row'>) => `${row.subject}|${row.field}|${row.version}`;
    const fresh = new Map(first.rows.map((row) => [name(row), row]));
    const stored = rows.map((row) => fresh.get(name(row)) ?? row);
    await core.call<Resealed>('reseal', { rows: stored });
    return stored;
  }

  /** Two people lift a lock at both guards. */
  async lift(scope: Unlock['scope'], target = '', signers = [0, 1]): Promise<void> {
    const document = this.unlock(scope, target);
    const assertions = signers.map((n) => touch(this.passkey(n), document));
    await this.client('ledger', 'glass').call('unlock', { document, assertions });
    await this.client('sealer', 'glass').call('unlock', { document, assertions });
  }
}
