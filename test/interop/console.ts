import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consoleServer } from '#api';
import { newToken, systemClock, uuidv7 } from '#base';
import { DEFAULT_CAPS, guardClient, type Role } from '#seal';
import { type Answered, Person } from '../../src/run/person.ts';
import { freePorts } from '../flows/product.ts';
import type { DevicePlane } from './phone-stack.ts';

/** The console's server on a device plane's database, without guards: for routes that ask neither of them. */
export interface ConsolePlane {
  /** Somebody who is signed in already, by a session that was written and not by a touch. */
  person(admin: string, role: Role): Promise<Person>;
  /** What the server told its operator; empty unless it broke. */
  readonly broken: string[];
  close(): Promise<void>;
}

export async function consolePlane(plane: DevicePlane): Promise<ConsolePlane> {
  const dir = mkdtempSync(join(tmpdir(), 'btz-console-'));
  writeFileSync(join(dir, 'index.html'), '<!doctype html>');
  const port = await freePorts();
  const origins = { console: `http://localhost:${port}`, glass: `http://localhost:${port + 1}`, edge: plane.url };
  const guard = (name: string) => guardClient(join(dir, name), { name });
  const [ledger, sealer] = [guard('ledger'), guard('sealer')];
  const broken: string[] = [];
  const told = (message: string, cause?: unknown) => void broken.push(`${message} ${String(cause)}`);
  const { server, close } = consoleServer({
    ...{ pool: plane.console, ledger, sealer, keys: plane.keys, origins, caps: DEFAULT_CAPS, level: 'L0', demo: false },
    ...{ pages: dir, now: systemClock, log: { info: () => {}, warn: told, error: told } },
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    broken,
    person: async (admin, role) => {
      const token = newToken();
      const person = new Person(origins, admin);
      await plane.console.query(
        `insert into api.session (token_sha256, id, admin, role, expires_at, bound_key) values ($1, $2, $3, $4, now() + interval '1 hour', $5)`,
        [createHash('sha256').update(token).digest(), uuidv7(), admin, role, person.sessionKey],
      );
      person.cookie = `bartizan_session=${token}`;
      return person;
    },
    close: async () => {
      await close();
      ledger.close();
      sealer.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The body of an answer that must be what `status` says. Throws with the problem's own words. */
export function bodyOf(answer: Answered, status = 200): Answered['body'] {
  if (answer.status === status) return answer.body;
  throw new Error(`answered ${answer.status} ${JSON.stringify(answer.body)}`);
}

/** Questions to the console, each answer remembered. */
export interface Asking {
  /** Every answer's body so far, as JSON. */
  readonly said: readonly string[];
  ask(who: Person, method: string, path: string, body?: unknown): Promise<Answered>;
  /** As the first person; throws unless the answer is what it should be. */
  get(path: string): Promise<Answered['body']>;
  post(path: string, body: unknown, status?: number): Promise<Answered['body']>;
  /** The code of a refusal; its title must name nothing of ours. */
  refused(path: string, body: unknown, status: number, who?: Person): Promise<string>;
}

export function asking(first: Person): Asking {
  const said: string[] = [];
  const ask = async (who: Person, method: string, path: string, body?: unknown) => {
    const answer = await who.call(method, `/api${path}`, body);
    said.push(JSON.stringify(answer.body));
    return answer;
  };
  return {
    ...{ said, ask },
    get: async (path) => bodyOf(await ask(first, 'GET', path)),
    post: async (path, body, status = 200) => bodyOf(await ask(first, 'POST', path, body), status),
    refused: async (path, body, status, who = first) => {
      const answer = await ask(who, 'POST', path, body);
      assert.equal(answer.status, status, `${path} ${JSON.stringify(body)} answered ${JSON.stringify(answer.body)}`);
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
      assert.doesNotMatch(String(answer.body['title']), /\bsql|constraint|relation|syntax|undefined/i);
      return String(answer.body['code']);
    },
  };
}

/** Fails if an answer named a person, a number, a serial number or a UDID, or if the server broke. */
export async function namesNobody(plane: DevicePlane, desk: ConsolePlane, { said }: Asking): Promise<void> {
  const { rows } = await plane.core.query<{ serial: string; udid: string }>(
    'select serial, udid from fleet.device where udid is not null',
  );
  assert.ok(rows.length > 0 && said.length > 10, `${rows.length} devices, ${said.length} answers`);
  for (const text of said) {
    assert.doesNotMatch(text, /Maja|7700/);
    for (const { serial, udid } of rows) assert.ok(!text.includes(serial) && !text.includes(udid), text.slice(0, 200));
  }
  assert.deepEqual(desk.broken, []);
}
