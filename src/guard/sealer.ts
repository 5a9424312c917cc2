import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, canonicalJson, fromBase64url, type Json, type Logger, toBase64url } from '#base';
import {
  type Assertion,
  type Caps,
  type EnrolKey,
  type Grant,
  type GuardClient,
  GuardError,
  hpkeSeal,
  type Invite,
  isThird,
  type LockScope,
  type Receipt,
  type RecoveryKey,
  type Restored,
  SealError,
  type SealedRow,
  type Unlock,
  unpadValue,
} from '#seal';
import { readOpened, readSpent, rowsOfGrant } from './believed.ts';
import type { Detail, REFUSAL_KINDS } from './entries.ts';
import { SealerExport } from './export/sealer-export.ts';
import { makeFolder, writeDurably } from './files.ts';
import { Follower } from './follower.ts';
import { Gate, REFUSED, Refusal } from './gate.ts';
import { makeKey, publicText } from './keys.ts';
import type { Founder } from './ledger.ts';
import type { KeySource } from './org-key.ts';
import { OrgKeys } from './org-keys.ts';
import { mayPin, RESTORED, recoveryPins, restoredEffects, wrapKeys } from './recovery.ts';
import { Resealing } from './resealing.ts';
import { SealerMessages } from './sealer-messages.ts';
import { SealerRoster } from './sealer-roster.ts';
import type { SearchSettings } from './search/rules.ts';
import { SealerSearch } from './search/sealer-search.ts';
import type { Effect } from './state.ts';
import { MINUTE } from './time.ts';

export interface SealerOptions {
  readonly org: string;
  /** Private folder. */
  readonly state: string;
  /** Glass's origin. */
  readonly origin: string;
  readonly caps: Caps;
  readonly clock: Clock;
  /** A clock that nobody can set (`SteadyTime`). */
  readonly elapsed?: () => number;
  readonly logger: Logger;
  /** Ed25519 SPKI of the ledger, base64url: whose receipts count. */
  readonly ledgerKey: string;
  readonly ledger: GuardClient;
  /** Raw X25519 of edge, base64url: the only key that devices' secrets are sealed to. */
  readonly releaseKey: string;
  /** Raw X25519 of courier and Ed25519 SPKI of core, base64url; without the first no message is sent. */
  readonly courierKey?: string;
  readonly coreKey?: string;
  /** The keeper of keys in tokens, key services and shares, if there is one. */
  readonly keeper?: GuardClient;
  /** Where systemd put this process's credentials. */
  readonly credentials?: string;
  /** What can be searched, if anything. */
  readonly search?: SearchSettings;
  /** Where the organisation's next key is made; the sealer's own files if it is left out. */
  readonly keySource?: KeySource;
}

const REVEAL_INFO = 'bartizan reveal v1';
const unavailable = () => new GuardError('unavailable', 'The ledger cannot be asked. Nothing is opened without it.');

/** Makes the organisation's key and pins the founders. Once only. Returns the public key. */
export async function foundSealer(
  state: string,
  founders: readonly Founder[],
  recovery?: RecoveryKey | string,
): Promise<{ inner: string; sealer: string }> {
  const key = await makeKey(state, 'organisation', 'x25519');
  const signing = await makeKey(state, 'signing', 'ed25519');
  makeFolder(state, 0o700);
  const effects = [...recoveryPins(recovery), ...founders.map((founder): Effect => ({ e: 'founder', ...founder }))];
  if (typeof recovery === 'object') await wrapKeys(state, recovery);
  await writeDurably(join(state, 'pinned.json'), JSON.stringify({ v: 1, effects }));
  return { inner: publicText(key), sealer: publicText(signing) };
}

/** The first guard: holds the organisation's private key and no data. Verifies and meters on its own. */
export class Sealer {
  readonly gate: Gate;
  readonly #options: SealerOptions;
  readonly keys: OrgKeys;
  readonly resealing: Resealing;
  /** What must outlive this process: founders, invitations, keys, locks, approvals used. Charges are the ledger's to keep. */
  readonly #pinned: Effect[];
  readonly #follower: Follower;
  /** What changes the roster itself. */
  readonly roster: SealerRoster;
  #storing: Promise<void> = Promise.resolve();
  #synced: Promise<void> | undefined;
  #livedKept = 0;
  #exports: SealerExport | undefined;

  /** What courier sends. */
  readonly messages: SealerMessages;

  /** Opens a founded sealer. Throws GuardError `not-founded` if its key or its pinned roster is missing. */
  constructor(options: SealerOptions) {
    this.#options = options;
    const { keySource, ...rest } = options;
    const wrap = async () => {
      const { recovery } = this.gate.state;
      if (recovery !== undefined) await wrapKeys(options.state, recovery);
    };
    this.keys = new OrgKeys({ ...rest, wrap, ...(keySource === undefined ? {} : { next: keySource }) });
    const path = join(options.state, 'pinned.json');
    if (!existsSync(path)) throw new GuardError('not-founded', 'The pinned roster is missing. Restore it.');
    this.#pinned = (JSON.parse(readFileSync(path, 'utf8')) as { effects: Effect[] }).effects;
    this.gate = new Gate(options);
    this.gate.replay(this.#pinned);
    this.#follower = new Follower(this.gate, options.ledger, (effects) => this.keep(effects));
    this.roster = new SealerRoster(this.gate, {
      follower: this.#follower,
      keep: (effects) => this.keep(effects),
      refuse: (kind, error, detail) => this.refuse(kind, error, detail),
      wipe: () => this.keys.wipe(),
    });
    this.messages = new SealerMessages({ ...options, sealer: this, keys: this.keys });
    this.resealing = new Resealing({ ...options, sealer: this, keys: this.keys });
    // A file's key is there at once; what does not come now is asked for again.
    if (this.gate.state.locked('directory')) this.keys.wipe();
    else this.loading = this.keys.load();
    this.loading.catch(() => {});
  }

  /** The first fetch of the key from its source. */
  readonly loading: Promise<void> = Promise.resolve();

  /**
   * One reveal: verify and charge here, let the ledger verify, charge, record and take its layer off, check its
   * receipt, open the inner layer, seal everything to the browser that touched the passkey.
   */
  async reveal(grant: Grant, assertion: Assertion, rows: readonly SealedRow[], others: readonly Assertion[] = []) {
    if (this.#synced === undefined) this.#synced = this.#sync();
    let effects: readonly Effect[];
    try {
      await this.#synced;
    } catch {
      this.#synced = undefined;
      throw unavailable();
    }
    if (!this.gate.state.locked('directory')) this.keys.mustBeOpen();
    try {
      effects = this.gate.reveal(grant, assertion, others);
      if (!rowsOfGrant(grant, rows)) throw new Refusal('refused', REFUSED, grant.admin);
    } catch (error) {
      const { id, field, subjects } = grant;
      const detail = { grant: id, field, asked: subjects.length, claimed: grant.admin };
      return this.refuse('directory.refused', error, detail);
    }
    this.gate.state.apply(effects);
    this.gate.state.prune(this.gate.time.now());
    const request = { grant, assertion, rows, ...(others.length === 0 ? {} : { others }) };
    const { inner, receipt } = readOpened(
      await this.#options.ledger.call('open', request),
      grant,
      this.#options.ledgerKey,
    );
    return this.#sealToBrowser(grant, rows, inner, receipt);
  }

  async #sealToBrowser(
    grant: Grant,
    rows: readonly SealedRow[],
    inner: readonly { subject: string; inner: string }[],
    receipt: Receipt,
  ) {
    const versions = new Map(rows.map((row) => [row.subject, row.version]));
    const known = inner.flatMap(({ subject, inner: layer }) => {
      const version = versions.get(subject);
      if (version === undefined) return [];
      return [{ inner: fromBase64url(layer), label: { org: this.#options.org, subject, field: grant.field, version } }];
    });
    const values: { [subject: string]: string } = {};
    const third: { [subject: string]: { readonly version: number; readonly value: string } } = {};
    for (const [i, opened] of (await this.keys.open(known)).entries()) {
      // A row that somebody else sealed badly must not hide the others.
      if (opened === undefined) continue;
      const { subject, version } = known[i]!.label;
      try {
        // The page has the key of the third lock, or nobody reads it.
        if (isThird(opened.padded)) third[subject] = { version, value: toBase64url(opened.padded) };
        else values[subject] = unpadValue(opened.padded, grant.field);
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
      }
      opened.padded.fill(0);
    }
    const locked = Object.keys(third).length === 0 ? {} : { third };
    const plaintext = Buffer.from(canonicalJson({ values, ...locked }));
    const aad = Buffer.from(canonicalJson(receipt as unknown as Json));
    const sealed = hpkeSeal(fromBase64url(grant.browserKey), plaintext, { info: REVEAL_INFO, aad });
    plaintext.fill(0);
    return { enc: toBase64url(sealed.subarray(0, 32)), ct: toBase64url(sealed.subarray(32)), receipt };
  }

  async enrol(document: EnrolKey, assertion: Assertion): Promise<{ admin: string; role: string }> {
    // The link may come from a change that the ledger took a moment ago.
    await this.#follower.catchUp().catch(() => {});
    let enrolled: ReturnType<Gate['enrol']>;
    try {
      const sealed = await this.roster.enrolSealed(document, assertion);
      if (sealed !== undefined) return sealed;
      enrolled = this.gate.enrol(document, assertion);
    } catch (error) {
      return this.refuse('account.refused', error, { op: 'enrol-key' });
    }
    await this.keep(enrolled.effects);
    return { admin: enrolled.key.admin, role: enrolled.key.role };
  }

  async decide(document: Unlock | Invite, assertions: readonly Assertion[]): Promise<object> {
    let decided: ReturnType<Gate['decide']>;
    try {
      decided = this.gate.decide(document, assertions);
    } catch (error) {
      const kind = document.op === 'unlock' ? 'approval.refused' : 'account.refused';
      return this.refuse(kind, error, { approval: document.id, op: document.op, claimed: document.requester });
    }
    await this.keep(decided.effects);
    if (document.op === 'unlock' && document.scope === 'directory') await this.#loadAgain();
    return {};
  }

  /** Takes up after a restore, as the recovery key signed it. Throws GuardError. */
  async restored(statement: Restored): Promise<void> {
    const effects = restoredEffects(this.gate.state, this.#options.org, statement);
    await this.keep([...effects, { e: 'lock', scope: 'directory', target: '', reason: RESTORED }]);
  }

  /** Pins the recovery key of a sealer that was founded without one. Throws GuardError `founded` if another is pinned. */
  async pinRecovery(key: RecoveryKey): Promise<void> {
    if (!mayPin(this.gate.state, key)) return;
    await wrapKeys(this.#options.state, key);
    await this.keep(recoveryPins(key));
  }

  /** The key comes back from its source; one that needs people or a key service first is asked for again. */
  async #loadAgain(): Promise<void> {
    await this.keys.load().catch((error: unknown) => {
      if (!(error instanceof GuardError)) throw error;
      this.#options.logger.warn('the organisation’s key is not there yet', { code: error.code });
    });
  }

  /** Asks the key's source again while the key is missing, and ends staged keys that nobody put in force. */
  async tend(): Promise<void> {
    await this.keys.expire();
    if (this.keys.missing) await this.#loadAgain();
  }

  async lock(scope: LockScope, target: string, reason: string): Promise<object> {
    // Before anything is awaited: the key is gone when this returns its promise.
    if (scope === 'directory') this.keys.wipe();
    if (this.gate.state.locked(scope, target)) await this.#storing;
    else await this.keep([{ e: 'lock', scope, target, reason }]);
    return {};
  }

  /** Files of people for those whom two administrators named. */
  get exports(): SealerExport {
    this.#exports ??= new SealerExport({
      ...{ org: this.#options.org, ledger: this.#options.ledger, gate: this.gate },
      openInner: (rows) => this.keys.open(rows),
      keep: (effects) => this.keep(effects),
      refuse: (kind, error, detail) => this.refuse(kind, error, detail),
      synced: () => this.sync(),
      mayRead: () => this.keys.mustHaveNoThird(),
    });
    return this.#exports;
  }

  /** Opens search as this guard's settings have it; undefined where it is off. Throws GuardError. */
  openSearch(): Promise<SealerSearch> | undefined {
    const { search: settings } = this.#options;
    if (settings === undefined) return undefined;
    return SealerSearch.open({
      ...{ ...this.#options, settings, gate: this.gate },
      openInner: (rows) => this.keys.open(rows),
      keep: (effects) => this.keep(effects),
      refuse: (kind, error, detail) => this.refuse(kind, error, detail),
      synced: () => this.sync(),
      mayRead: () => this.keys.mustHaveNoThird(),
    });
  }

  async status() {
    const locked = [...this.gate.state.locks.values()].map(({ scope, target }) => ({ scope, target }));
    const roster = { ...this.roster.view(), stuck: this.#follower.stuck ?? null };
    const ledger = await this.#options.ledger.call('spent', {}, { timeoutMs: 1_000 }).then(
      () => true,
      () => false,
    );
    const { notice } = this.resealing;
    return { locked, ledger, roster, keys: this.keys.status(), ...(notice === undefined ? {} : { notice }) };
  }

  /** Asks the ledger for what was spent today; until that has worked once, nothing is opened. */
  async sync(): Promise<void> {
    this.#synced ??= this.#sync();
    try {
      await this.#synced;
    } catch (error) {
      this.#synced = undefined;
      throw error;
    }
  }

  async #sync(): Promise<void> {
    const { time, effects, recent } = readSpent(await this.#options.ledger.call('spent', {}));
    this.gate.time.see(time);
    // Roster changes reach this guard through signatures only, never through the other guard.
    // What was spent counts for this guard's own day, whatever day the ledger says it is.
    const at = this.gate.time.metered();
    const open = !this.gate.state.locked('directory');
    this.gate.state.apply(effects.map((one) => (one.e === 'charge' ? { ...one, at } : one)));
    if (open && this.gate.state.locked('directory')) this.keys.wipe();
    const lived = this.gate.time.lived();
    for (const one of recent) this.gate.state.meters.adopt(one, lived);
    await this.#follower.catchUp();
  }

  /** Writes down how long this guard has been running. */
  async close(): Promise<void> {
    await this.keep([{ e: 'lived', lived: this.gate.time.lived() }]);
  }

  /** Follows the ledger's roster, and writes down how long this guard has been running; called every few seconds. */
  async tick(): Promise<void> {
    const lived = this.gate.time.lived();
    if (lived - this.#livedKept > 10 * MINUTE) {
      this.#livedKept = lived;
      await this.keep([{ e: 'lived', lived }]);
    }
    await this.#follower.catchUp();
  }

  /** Applies effects at once and answers when they are on disk. */
  keep(effects: readonly Effect[]): Promise<void> {
    if (effects.length === 0) return this.#storing;
    this.gate.state.apply(effects);
    this.#pinned.push(...effects);
    const stored = this.#storing.then(() => {
      const now = this.gate.time.now();
      const kept = compact(this.#pinned, now);
      this.#pinned.splice(0, this.#pinned.length, ...kept);
      return writeDurably(join(this.#options.state, 'pinned.json'), JSON.stringify({ v: 1, effects: kept }));
    });
    // A failed write is told to its caller; the next one writes everything again.
    this.#storing = stored.catch(() => {});
    return stored;
  }

  /** Tells the ledger of a refusal, then throws it. */
  async refuse(kind: (typeof REFUSAL_KINDS)[number], error: unknown, detail: Detail): Promise<never> {
    if (!(error instanceof Refusal)) throw error;
    const cap = error.cap === undefined ? {} : { cap: error.cap };
    try {
      await this.#options.ledger.call('note', {
        kind,
        admin: error.admin ?? null,
        detail: { ...detail, code: error.code, ...cap },
      });
    } catch {
      this.#options.logger.warn('a refusal could not be recorded', { code: error.code });
    }
    throw error;
  }
}

const fieldOf = ({ change }: Effect & { readonly e: 'search' }) => change.field;

/** Drops what no longer matters: expired document ids, locks that were lifted. Order is kept. */
function compact(effects: readonly Effect[], now: number): Effect[] {
  return effects.filter((effect, i) => {
    if (effect.e === 'used') return effect.notAfter >= now;
    // Of each search only what was done last matters.
    if (effect.e === 'search')
      return !effects.slice(i + 1).some((one) => one.e === 'search' && fieldOf(one) === fieldOf(effect));
    if (effect.e === 'unlock') return false;
    if (effect.e === 'lived' || effect.e === 'taken') return !effects.slice(i + 1).some((one) => one.e === effect.e);
    if (effect.e === 'seen') {
      return !effects.slice(i + 1).some((one) => one.e === 'seen' && one.credential === effect.credential);
    }
    if (effect.e !== 'lock') return true;
    const { scope, target } = effect;
    return !effects.slice(i).some((one) => one.e === 'unlock' && one.scope === scope && one.target === target);
  });
}
