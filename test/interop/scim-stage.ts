import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256, toBase64url } from '#base';
import { type IntakeDoors, SCIM_PATH, scimServer, TOKEN_PREFIX, type TokenRecord, Tokens } from '#intake';
import { DEFAULT_NUMBERS, settleArriving } from '#people';
import type { Field, SealedRow } from '#seal';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { Guards } from '../spec/guards/fixture.ts';

export const PATCH_OP = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
export const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

export interface ScimAnswered {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** Intake's SCIM server on a database of its own, with both guards behind it: what is pushed can be read back by a touch. */
export class ScimStage {
  readonly dir = mkdtempSync(join(tmpdir(), 'btz-scim-'));
  readonly said: string[] = [];
  /** The next person who is made gets a decoy at their side. */
  decoyNext = false;
  database!: TestDatabase;
  admin!: Pool;
  intake!: Pool;
  guards!: Guards;
  doors!: IntakeDoors;
  url = '';
  token = '';
  #close: () => Promise<void> = async () => {};

  static async open(options: { readonly holdMs?: number } = {}): Promise<ScimStage> {
    const stage = new ScimStage();
    [stage.database, stage.guards] = await Promise.all([testDatabase(), Guards.start({}, options.holdMs ?? 0)]);
    stage.admin = openPool(stage.database.admin, { max: 2 });
    stage.intake = openPool(stage.database.as('intake'), { max: 4 });
    const told = (message: string, cause?: unknown) => void stage.said.push(`${message} ${String(cause)}`);
    stage.doors = {
      ...{
        pool: stage.intake,
        ledger: stage.guards.client('ledger', 'intake'),
        keys: stage.guards.keys,
        pen: stage.guards.pens.intake,
      },
      secrets: { tags: randomBytes(32), box: generateKeyPairSync('x25519').privateKey },
      ...{
        numbers: { ...DEFAULT_NUMBERS, region: 'GB' },
        scimUrl: `https://scim.example.org${SCIM_PATH}`,
        now: Date.now,
        random: (below: number) => (stage.decoyNext ? 0 : below - 1),
      },
      log: { info: told, warn: told, error: told },
    };
    const tokens = new Tokens(join(stage.dir, 'tokens.json'), Date.now, () => {});
    const { server, close } = scimServer(stage.doors, tokens);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stage.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${SCIM_PATH}`;
    stage.token = stage.newTokens('entra')[0]!;
    stage.#close = close;
    return stage;
  }

  /** Tokens that count from now on, in place of all others. */
  newTokens(...sources: readonly string[]): string[] {
    const made = sources.map((source) => ({
      source,
      token: `${TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`,
    }));
    this.writeTokens(
      made.map(({ source, token }, i) => ({
        id: `t${i}`,
        source,
        sha256: toBase64url(sha256(token)),
        notAfter: Date.now() + 60_000,
      })),
    );
    return made.map(({ token }) => token);
  }

  writeTokens(records: readonly TokenRecord[]): void {
    writeFileSync(join(this.dir, 'tokens.json'), JSON.stringify(records));
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ScimAnswered> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/scim+json', ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, body: text === '' ? {} : JSON.parse(text), headers: answer.headers };
  }

  patch(id: string, ...operations: object[]): Promise<ScimAnswered> {
    return this.call('PATCH', `/Users/${id}`, { schemas: [PATCH_OP], Operations: operations });
  }

  search(filter: string): Promise<ScimAnswered> {
    return this.call('GET', `/Users?filter=${encodeURIComponent(filter)}`);
  }

  /** Raw bytes; what came back before the server hung up. */
  raw(bytes: Uint8Array | string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(Number(new URL(this.url).port), '127.0.0.1', () => socket.write(bytes));
      let text = '';
      socket.setTimeout(5_000, () => socket.destroy());
      socket.on('data', (part: Buffer) => {
        text += part.toString('latin1');
        if (text.includes('\r\n\r\n')) socket.end();
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });
  }

  async handleOf(id: string): Promise<string> {
    const { rows } = await this.admin.query<{ handle: string }>('select handle from people.joined where id = $1', [id]);
    return rows[0]!.handle;
  }

  async person(id: string): Promise<{ unit: string | null; member_state: string | null; left_at: Date | null }> {
    const { rows } = await this.admin.query(
      'select p.unit, p.member_state, p.left_at from people.person p join people.joined j using (handle) where j.id = $1',
      [id],
    );
    return rows[0] as { unit: string | null; member_state: string | null; left_at: Date | null };
  }

  /** A day and an hour pass, for the ledger and for what waits: changed numbers and addresses are let in. */
  async nextDay(): Promise<void> {
    await this.settle();
    this.guards.now = (this.guards.now ?? Date.now()) + 25 * 3_600_000;
    await this.admin.query('update people.arriving set held_until = null');
  }

  /** What core does all the time. */
  async settle(): Promise<void> {
    const core = openPool(this.database.as('core'), { max: 1 });
    try {
      while ((await settleArriving(core, this.guards.client('ledger', 'core'))) > 0);
    } finally {
      await core.end();
    }
  }

  /** A value as an administrator reads it: settled by core, opened by both guards with a touch. */
  async reads(id: string, field: Field): Promise<string | undefined> {
    await this.settle();
    const subject = await this.handleOf(id);
    const { rows } = await this.admin.query<{ version: string; row: Buffer }>(
      'select version, row from people.sealed where subject = $1 and field = $2',
      [subject, field],
    );
    const sealed: SealedRow[] = rows.map(({ version, row }) => ({
      ...{ subject, field, version: Number(version), row: toBase64url(row) },
    }));
    return (await this.guards.reveal(sealed, { field }))[subject];
  }

  async close(): Promise<void> {
    await this.#close();
    await this.guards.close();
    await this.intake.end();
    await this.admin.end();
    await this.database.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What Entra sends for a new person with its default mapping: string booleans, dotted names apart, empty members. */
export const entraUser = (n: number, more: object = {}): object => ({
  schemas: [USER, ENTERPRISE],
  externalId: `entra-object-${n}`,
  userName: `invented.person${n}@example.org`,
  active: 'True',
  displayName: `Mirela Invented${n}`,
  emails: [{ primary: true, type: 'work', value: `invented.person${n}@Example.org` }],
  meta: { resourceType: 'User' },
  name: { formatted: `Mirela Invented${n}`, familyName: `Invented${n}`, givenName: 'Mirela' },
  phoneNumbers: [
    { type: 'work', value: '+44 20 7946 0000' },
    { type: 'mobile', value: `07700 900${String(n).padStart(3, '0')}` },
  ],
  addresses: [{ type: 'work', formatted: 'somewhere', primary: false, country: 'GB' }],
  title: '',
  [ENTERPRISE]: { employeeNumber: '4711', department: 'Registry' },
  ...more,
});
