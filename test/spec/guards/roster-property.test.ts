import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256, toBase64url, uuidv7 } from '#base';
import { Council, Gate } from '#guard';
import {
  type Assertion,
  credentialDigest,
  DEFAULT_CAPS,
  type Invite,
  type RosterAct,
  type Signable,
  type Unlock,
} from '#seal';
import { newPasskey, type SoftwarePasskey } from '#sim';
import { ORIGIN, touch } from './fixture.ts';

// A guard's rules without disk and sockets: whatever is accepted, somebody can always act.
const HOUR = 3_600_000;
const NAMES = ['admin-a', 'admin-b', 'admin-c', 'admin-d', 'admin-e', 'admin-f'] as const;
const name = fc.constantFrom(...NAMES);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('invite' as const), admin: name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('add-key' as const), admin: name }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('remove-admin' as const), admin: name }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove-key' as const), admin: name, nth: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: fc.constant('role' as const), admin: name },
      role: fc.constantFrom('administrator' as const, 'analyst' as const, 'dpo' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('threshold' as const), threshold: fc.integer({ min: 2, max: 5 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lock-admin' as const), admin: name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lock-key' as const), admin: name, nth: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lock-role' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lock-directory' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unlock' as const), nth: fc.nat(6) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 80 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('jump' as const), hours: fc.integer({ min: -200, max: 200 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class World {
  now = Date.UTC(2030, 0, 1);
  ran = 0;
  readonly gate = new Gate({
    origin: ORIGIN,
    caps: DEFAULT_CAPS,
    clock: () => this.now,
    elapsed: () => this.ran,
    org: 'o',
  });
  readonly council = new Council(this.gate);
  readonly pool = new Map<string, SoftwarePasskey>();
  accepted = 0;
  taken = 0;

  constructor(founders: number) {
    for (const admin of NAMES.slice(0, founders)) {
      const { token, tokenSha256 } = this.link();
      this.gate.state.apply([{ e: 'founder', admin, role: 'administrator', tokenSha256 }]);
      this.enrol(admin, token);
    }
  }

  link() {
    const token = toBase64url(sha256(uuidv7()));
    return { token, tokenSha256: toBase64url(sha256(Buffer.from(token, 'base64url'))) };
  }

  enrol(admin: string, token: string): void {
    const passkey = newPasskey({ admin, algorithm: 'Ed25519' });
    const { credential, publicKey } = passkey;
    const document = { v: 1, op: 'enrol-key', token, credential, publicKey, notAfter: this.now + 60_000 } as const;
    // A clock that was ahead has left time standing; documents are made by the guard's time.
    const fresh = { ...document, notAfter: this.gate.time.now() + 60_000 };
    this.gate.state.apply(this.gate.enrol(fresh, touch(passkey, fresh)).effects);
    this.pool.set(credential, passkey);
  }

  /** Everybody who is on the roster and could sign, signs; or all, locked ones too. */
  sign(document: Signable, all: boolean): Assertion[] {
    const byAdmin = new Map<string, Assertion>();
    for (const key of this.gate.state.keys.values()) {
      if (key.role !== 'administrator' || !this.pool.has(key.credential)) continue;
      const assertion = touch(this.pool.get(key.credential)!, document);
      const probe = this.tries(() => this.gate.mustBeOpen(key));
      if (!all && !probe) continue;
      if (!byAdmin.has(key.admin) || this.seasoned(key.credential)) byAdmin.set(key.admin, assertion);
    }
    return [...byAdmin.values()].filter((one) => this.seasoned(one.credential));
  }

  seasoned(credential: string): boolean {
    const key = this.gate.state.keys.get(credential)!;
    const since = this.gate.state.season.get(credential)!;
    return (
      key.founding ||
      (this.gate.time.now() - since.at >= 72 * HOUR && this.gate.time.lived() - (since.lived ?? 0) >= 72 * HOUR)
    );
  }

  tries(work: () => unknown): boolean {
    try {
      work();
      return true;
    } catch {
      return false;
    }
  }

  head() {
    return {
      v: 1,
      id: uuidv7(),
      requester: NAMES[0],
      purpose: 'a property',
      notAfter: this.gate.time.now() + HOUR,
    } as const;
  }

  change(change: RosterAct): boolean {
    const document = { ...this.head(), op: 'roster', roster: this.gate.state.roster.version, change } as const;
    return this.tries(() => {
      this.gate.state.apply(this.council.change(document, this.sign(document, false)).effects);
      this.accepted++;
      if (change.act === 'remove-admin' || change.act === 'remove-key' || change.act === 'role') this.taken++;
    });
  }

  unlock(nth: number, commit = true): boolean {
    const lock = [...this.gate.state.locks.values()][nth];
    if (lock === undefined) return false;
    const { scope, target } = lock;
    const document: Unlock = { ...this.head(), op: 'unlock', scope, target };
    return [false, true].some((all) =>
      this.tries(() => {
        const { effects } = this.gate.decide(document, this.sign(document, all));
        if (commit) this.gate.state.apply(effects);
      }),
    );
  }

  invite(admin: string, commit = true): boolean {
    const { token, tokenSha256 } = this.link();
    const document: Invite = { ...this.head(), op: 'invite', admin, role: 'administrator', tokenSha256 };
    return this.tries(() => {
      const { effects } = this.gate.decide(document, this.sign(document, false));
      if (!commit) return;
      this.gate.state.apply(effects);
      this.enrol(admin, token);
      this.accepted++;
    });
  }

  #key(admin: string, nth: number): string | undefined {
    return [...this.gate.state.keys.values()].filter((key) => key.admin === admin)[nth]?.credential;
  }

  take(one: Step): void {
    const lock = (scope: 'admin' | 'credential' | 'role' | 'directory', target: string) =>
      this.gate.state.apply([{ e: 'lock', scope, target, reason: 'anybody may' }]);
    switch (one.do) {
      case 'invite':
        this.invite(one.admin);
        return;
      case 'add-key': {
        const { token, tokenSha256 } = this.link();
        if (this.change({ act: 'add-key', admin: one.admin, tokenSha256 }))
          this.tries(() => this.enrol(one.admin, token));
        return;
      }
      case 'remove-admin':
        this.change({ act: 'remove-admin', admin: one.admin });
        return;
      case 'remove-key': {
        const credential = this.#key(one.admin, one.nth);
        if (credential !== undefined) this.change({ act: 'remove-key', credential });
        return;
      }
      case 'role':
        this.change({ act: 'role', admin: one.admin, role: one.role });
        return;
      case 'threshold':
        this.change({ act: 'threshold', threshold: one.threshold });
        return;
      case 'lock-admin':
        lock('admin', one.admin);
        return;
      case 'lock-key': {
        const credential = this.#key(one.admin, one.nth);
        if (credential !== undefined) lock('credential', credentialDigest(credential));
        return;
      }
      case 'lock-role':
        lock('role', 'administrator');
        return;
      case 'lock-directory':
        lock('directory', '');
        return;
      case 'unlock':
        this.unlock(one.nth);
        return;
      case 'wait':
        this.now += one.hours * HOUR;
        this.ran += one.hours * HOUR;
        return;
      case 'jump':
        this.now += one.hours * HOUR;
        return;
      default:
        one satisfies never;
    }
  }

  /** Locks can be lifted one by one; then the roster's own quorum invites somebody. */
  canAct(): boolean {
    while (this.gate.state.locks.size > 0) if (!this.unlock(0)) return false;
    return this.invite('admin-new', false);
  }
}

test('no sequence of accepted changes, locks and moved clocks leaves nobody able to act', () => {
  let accepted = 0;
  let taken = 0;
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }), fc.array(step, { minLength: 10, maxLength: 60 }), (founders, steps) => {
      const world = new World(founders);
      for (const one of steps) world.take(one);
      accepted += world.accepted;
      taken += world.taken;
      assert.ok(world.canAct(), 'nobody can act any more');
    }),
    { numRuns: 200 },
  );
  assert.ok(accepted > 200 && taken > 20, `${accepted} changes were accepted, ${taken} of them took something away`);
});
