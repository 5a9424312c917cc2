import { randomBytes } from 'node:crypto';
import { sha256, toBase64url, uuidv7 } from '#base';
import type { Assertion, BreakGlass, CancelRaise, Invite, LockNow, QuorumCaps, RosterAct, RosterChange } from '#seal';
import { type Caps, QUORUM_CAPS } from '#seal';
import { newPasskey, type SoftwarePasskey } from '#sim';
import { ADMINS, type Guards, touch } from './fixture.ts';

export const HOUR = 3_600_000;

export interface Link {
  readonly token: string;
  readonly tokenSha256: string;
}

export function newLink(): Link {
  const token = randomBytes(32);
  return { token: token.toString('base64url'), tokenSha256: toBase64url(sha256(token)) };
}

/** What people on glass do with the roster, at both guards. */
export class Rosters {
  readonly guards: Guards;
  constructor(guards: Guards) {
    this.guards = guards;
  }

  #head(requester: string = ADMINS[0]) {
    return { v: 1, id: uuidv7(), requester, purpose: 'a test of the roster' } as const;
  }

  document(change: RosterAct, more: Partial<RosterChange> = {}): RosterChange {
    const roster = this.guards.ledger.gate.state.roster.version;
    return { ...this.#head(), op: 'roster', roster, change, notAfter: this.guards.clock() + HOUR, ...more };
  }

  /** As glass does: the ledger first, then the sealer follows. */
  async hand(document: RosterChange, assertions: readonly Assertion[]): Promise<void> {
    await this.guards.client('ledger', 'glass').call('roster-change', { document, assertions });
    await this.guards.client('sealer', 'glass').call('roster-change', { document, assertions });
  }

  async change(change: RosterAct, signers: readonly (number | SoftwarePasskey)[] = [0, 1]): Promise<RosterChange> {
    const document = this.document(change);
    await this.hand(document, this.sign(document, signers));
    return document;
  }

  sign(document: Parameters<typeof touch>[1], signers: readonly (number | SoftwarePasskey)[]): Assertion[] {
    return signers.map((one) => touch(typeof one === 'number' ? this.guards.passkey(one) : one, document));
  }

  async lock(scope: LockNow['scope'], target: string, by = 0): Promise<void> {
    const document: LockNow = {
      ...{ ...this.#head(ADMINS[by]), op: 'lock', scope, target, notAfter: this.guards.clock() + 60_000 },
    } as LockNow;
    const assertion = touch(this.guards.passkey(by), document);
    await this.guards.client('sealer', 'glass').call('lock-now', { document, assertion });
    await this.guards.client('ledger', 'glass').call('lock-now', { document, assertion });
  }

  async stopRaise(by = 2): Promise<void> {
    const roster = this.guards.ledger.gate.state.roster.version;
    const document: CancelRaise = {
      ...{ ...this.#head(ADMINS[by]), op: 'cancel-raise', roster, notAfter: this.guards.clock() + 60_000 },
    } as CancelRaise;
    const assertion = touch(this.guards.passkey(by), document);
    await this.guards.client('ledger', 'glass').call('cancel-raise', { document, assertion });
    await this.guards.client('sealer', 'glass').call('cancel-raise', { document, assertion });
  }

  async invite(admin: string, role: Invite['role'] = 'administrator', signers = [0, 1]): Promise<SoftwarePasskey> {
    const link = newLink();
    const notAfter = this.guards.clock() + HOUR;
    const document: Invite = { ...this.#head(), op: 'invite', admin, role, tokenSha256: link.tokenSha256, notAfter };
    const assertions = this.sign(document, signers);
    await this.guards.client('sealer', 'glass').call('invite', { document, assertions });
    await this.guards.client('ledger', 'glass').call('invite', { document, assertions });
    const passkey = newPasskey({ admin });
    await this.guards.enrol(passkey, link.token);
    return passkey;
  }

  caps(more: Partial<QuorumCaps>): QuorumCaps {
    const present: Caps = this.guards.ledger.gate.caps;
    return { ...(Object.fromEntries(QUORUM_CAPS.map((cap) => [cap, present[cap]])) as unknown as QuorumCaps), ...more };
  }

  /** Registers two sealed keys and three custodians; their passkeys in this order. */
  async registerSealed(): Promise<SoftwarePasskey[]> {
    const links = Array.from({ length: 5 }, newLink);
    await this.change({ act: 'break-glass', tokens: links.map((one) => one.tokenSha256) });
    const keys: SoftwarePasskey[] = [];
    for (const { token } of links) {
      const passkey = newPasskey();
      await this.guards.enrol(passkey, token);
      keys.push(passkey);
    }
    return keys;
  }

  async open(keys: readonly SoftwarePasskey[], drill = false): Promise<BreakGlass> {
    const notAfter = this.guards.clock() + 60_000;
    const document: BreakGlass = {
      v: 1,
      op: 'break-glass',
      id: uuidv7(),
      drill,
      purpose: 'a test of the glass',
      notAfter,
    };
    const assertions = this.sign(document, keys);
    await this.guards.client('ledger', 'glass').call('break-glass', { document, assertions });
    await this.guards.client('sealer', 'glass').call('break-glass', { document, assertions });
    return document;
  }

  async entries(kind: string): Promise<{ kind: string; actor: string | null; detail: Record<string, unknown> }[]> {
    const tail = await this.guards
      .client('ledger', 'core')
      .call<{ entries: { kind: string; actor: string | null; detail: Record<string, unknown> }[] }>('tail', {
        ...{ after: 0, waitMs: 0 },
      });
    return tail.entries.filter((one) => one.kind === kind);
  }

  digests(): { ledger: string; sealer: string } {
    return { ledger: digestOf(this.guards.ledger), sealer: this.guards.sealer.roster.view().digest };
  }
}

const digestOf = (ledger: Guards['ledger']): string => ledger.roster().digest;
