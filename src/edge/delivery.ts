import { sha256, toBase64url } from '#base';
import {
  type FanOut,
  fanOutUuid,
  membersDigest,
  NIL_UUID,
  type PublicKeys,
  verifyDelivery,
  verifyFanOut,
  verifyPermit,
} from '#seal';
import type { Pool } from '#store';
import { isDict, type Plist, type PlistDict, parsePlist, permitReason, textAt } from '#wire';
import { fillAccount, needsAccount, openAccount } from './account/renewal.ts';
import { fillUnlockToken, openRelease, type ReleaseDoors, reportRelease } from './release.ts';
import type { Turn } from './turns.ts';
import { Unenrolments } from './unenrolments.ts';

/** Fan-outs kept ready, each with its members; the one that was not used for longest goes first. */
const KEPT = 16;

/** What deliveries are judged with. */
export interface DeliveryDoors extends ReleaseDoors {
  /** Where devices find this device plane; an enrolment profile that leads there is no danger. */
  readonly origin: string;
}

/** What the address that a device talked to says, in the device's own words. */
export interface Addressed {
  /** The host with its port. */
  readonly host: string | undefined;
  /** The box with the account that the device was enrolled by. */
  readonly account: string | null;
}

const NOWHERE: Addressed = { host: undefined, account: null };

/** Bytes that may leave, or why they must not. */
export type Judged = { readonly body: Buffer } | { readonly fault: string };

interface Ready {
  readonly verb: string;
  readonly before: Buffer;
  readonly after: Buffer;
  readonly members: ReadonlySet<string>;
}

/** Decides what of the queue may reach a device: only core's signature and the ledger's permit count, never the row. */
export class Deliveries {
  readonly #pool: Pool;
  readonly #keys: PublicKeys;
  readonly #doors: DeliveryDoors;
  readonly #unenrolments = new Unenrolments();
  readonly #fanOuts = new Map<string, Promise<Ready | string>>();

  constructor(doors: DeliveryDoors) {
    this.#pool = doors.pool;
    this.#keys = doors.keys;
    this.#doors = doors;
  }

  /** `now` in milliseconds. Throws only if the database does. */
  async judge(turn: Turn, now: number, addressed: Addressed = NOWHERE): Promise<Judged> {
    if (turn.fan_out !== null) return this.#partOf(turn, turn.fan_out);
    const judged = this.#single(turn, now, addressed);
    if (!('body' in judged)) return judged;
    if (turn.request_type === 'ClearPasscode') return this.#withToken(turn, judged.body, now);
    return needsAccount(judged.body, turn.request_type) ? this.#withAccount(turn, judged.body, addressed) : judged;
  }

  /** Puts the account that the device carries for us into its profile; it is nowhere but in the bytes that go back to it. */
  async #withAccount(turn: Turn, template: Buffer, { account: box }: Addressed): Promise<Judged> {
    const { pool, secrets, origin } = this.#doors;
    const account = await openAccount({ pool, secrets }, turn.handle!, turn.uuid!, box);
    const body = account && fillAccount(template, turn.uuid!, origin, account);
    return body === undefined ? { fault: 'no-account' } : { body };
  }

  /** Puts the released unlock token into a command that may leave; it is nowhere but in the bytes that go to the device. */
  async #withToken(turn: Turn, template: Buffer, now: number): Promise<Judged> {
    const token = await openRelease(this.#doors, turn.handle!, 'unlock-token', now);
    if (token === undefined) return { fault: 'no-secret' };
    const body = fillUnlockToken(template, token);
    if (body === undefined) return { fault: 'verb-differs' };
    await reportRelease(this.#pool, turn.handle!, 'unlock-token', 'opened');
    return { body };
  }

  #single(turn: Turn, now: number, { host }: Addressed): Judged {
    const { body, permit } = turn;
    if (body === null || turn.signature === null) return { fault: 'not-signed-by-core' };
    const statement = {
      device: turn.handle!,
      uuid: turn.uuid!,
      verb: turn.request_type,
      body: toBase64url(sha256(body)),
    };
    if (!verifyDelivery(this.#keys.core, statement, turn.signature)) return { fault: 'not-signed-by-core' };
    const command = commandIn(body, turn.request_type, turn.uuid!);
    if (command === undefined) return { fault: 'verb-differs' };
    if (permit === null) {
      const reason = permitReason(command, this.#origins(host));
      // Core has counted too; what it let through too early leaves later, and nothing else before it.
      if (reason === 'unenrols') return this.#unenrolments.takes(turn.uuid!, now) ? { body } : { fault: 'later' };
      return reason === undefined ? { body } : { fault: 'permit-missing' };
    }
    const same =
      permit.device === statement.device &&
      permit.uuid === statement.uuid &&
      permit.body === statement.body &&
      permit.verb === statement.verb;
    if (!same || !verifyPermit(this.#keys.ledger, permit)) return { fault: 'permit-invalid' };
    return permit.notAfter < now ? { fault: 'permit-expired' } : { body };
  }

  /**
   * Where an enrolment profile may lead without two people: to us. A device that was taken over from another server talks to
   * us by that one's name, and says so itself: whoever owns core or the database cannot choose it.
   */
  #origins(host: string | undefined): readonly string[] {
    const { origin } = this.#doors;
    if (host === undefined || !/^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$/.test(host)) return [origin];
    return [origin, `${new URL(origin).protocol}//${host.toLowerCase()}`];
  }

  async #partOf(turn: Turn, id: string): Promise<Judged> {
    const ready = await this.#ready(id);
    if (typeof ready === 'string') return { fault: ready };
    if (!ready.members.has(turn.handle!)) return { fault: 'not-a-member' };
    if (ready.verb !== turn.request_type || turn.uuid !== fanOutUuid(id, turn.handle!))
      return { fault: 'verb-differs' };
    return { body: Buffer.concat([ready.before, Buffer.from(turn.uuid), ready.after]) };
  }

  /** A fan-out that was checked, or why it must not be used. Loaded once, however many devices ask. */
  #ready(id: string): Promise<Ready | string> {
    let found = this.#fanOuts.get(id);
    if (found === undefined) {
      found = this.#load(id).catch((error: unknown) => {
        this.#fanOuts.delete(id);
        throw error;
      });
      if (this.#fanOuts.size >= KEPT) this.#fanOuts.delete(this.#fanOuts.keys().next().value!);
    } else this.#fanOuts.delete(id);
    this.#fanOuts.set(id, found);
    return found;
  }

  async #load(id: string): Promise<Ready | string> {
    const { rows } = await this.#pool.query<{
      verb: string;
      template: Buffer;
      signature: Buffer;
      handles: string[] | null;
    }>('select * from edge.fan_out($1)', [id]);
    const row = rows[0];
    if (row === undefined || row.handles === null) return 'not-signed-by-core';
    const { verb, template, handles } = row;
    const fanOut: FanOut = {
      ...{ id, verb, template: toBase64url(sha256(template)) },
      ...{ members: membersDigest(handles), count: handles.length },
    };
    if (!verifyFanOut(this.#keys.core, fanOut, row.signature)) return 'not-signed-by-core';
    const command = commandIn(template, verb, NIL_UUID);
    if (command === undefined) return 'verb-differs';
    if (permitReason(command, [this.#doors.origin]) !== undefined) return 'permit-missing';
    // The UUID is the last value of a command: one that stood inside the command itself comes before it.
    const at = template.lastIndexOf(NIL_UUID);
    return {
      verb,
      before: template.subarray(0, at),
      after: template.subarray(at + NIL_UUID.length),
      members: new Set(handles),
    };
  }
}

/** The command in a body, if it is this verb under this identifier: a body that hides another verb needs no permit otherwise. */
function commandIn(body: Uint8Array, verb: string, uuid: string): PlistDict | undefined {
  let root: Plist;
  try {
    root = parsePlist(body);
  } catch {
    // Refused as a row like any other, so that the rows behind it are still served.
    return undefined;
  }
  if (!isDict(root) || root.size !== 2) return undefined;
  const command = root.get('Command');
  if (!isDict(command)) return undefined;
  return textAt(command, 'RequestType') === verb && textAt(root, 'CommandUUID') === uuid ? command : undefined;
}
