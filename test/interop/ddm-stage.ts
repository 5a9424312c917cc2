import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bodyOf, consolePlane } from './console.ts';
import { buildGo, goModule } from './go-build.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const KMFDDM = 'github.com/jessepeterson/kmfddm';

/** What the foreign phone says of one synchronisation. */
export interface Synced {
  readonly token: string;
  readonly held: number;
  readonly fetched: readonly string[];
  readonly gone: readonly string[];
}

/** What the console shows of a device. */
export interface Shown {
  readonly token: string;
  readonly upToDate: boolean;
  readonly values: Record<string, unknown>;
  readonly lists: Record<string, Record<string, unknown>>;
  readonly errors: Record<string, unknown>;
  readonly declarations: readonly { identifier: string; state: string; reasons: string[] }[];
  readonly changes: readonly { path: string; before: unknown; after: unknown }[];
}

/** A device plane with its console, and phones whose declarative management is kmfddm's. */
export interface DdmStage {
  readonly plane: DevicePlane;
  /** Runs the foreign phone; rejects with its own words. */
  go(args: readonly string[], input?: string): Promise<string>;
  sync(dir: string): Promise<Synced>;
  /** Tokens of the DeclarativeManagement commands that waited; no other command may. */
  told(dir: string): Promise<(string | undefined)[]>;
  /** A foreign phone; `dir` is all it knows. */
  enrolled(): Promise<{ device: string; dir: string }>;
  /** Through the console's API; answers the declaration's id. */
  declare(identifier: string, type: string, payload: object): Promise<string>;
  /** Makes a set through the API and lets core work; answers its id. */
  putSet(id: string | null, name: string, declarations: readonly string[], devices: readonly string[]): Promise<string>;
  shown(device: string): Promise<Shown>;
  /** The state of each declaration but those whose identifiers begin with `but`. */
  states(device: string, but?: string): Promise<Record<string, string>>;
  folder(): string;
  /** kmfddm's server, built. */
  server(): Promise<string>;
  /** Where the files of kmfddm's own tests are. */
  kmfddm(): Promise<string>;
  close(): Promise<void>;
}

export async function ddmStage(): Promise<DdmStage> {
  const program = await buildGo('foreignphone');
  const dirs = [dirname(program)];
  const plane = await devicePlane();
  const desk = await consolePlane(plane);
  const admin = await desk.person('amber-otter-4821', 'administrator');
  let phones = 5;
  const folder = () => {
    const dir = mkdtempSync(join(tmpdir(), 'btz-ddm-'));
    dirs.push(dir);
    return dir;
  };
  const go = (args: readonly string[], input = '') =>
    new Promise<string>((resolve, reject) => {
      const child = execFile(program, [...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(stderr || error.message)),
      );
      // A command that reads nothing may be gone before it is spoken to.
      child.stdin!.on('error', () => {}).end(input);
    });
  const shown = async (device: string) =>
    bodyOf(await admin.call('GET', `/api/devices/${device}/declared`))['standing'] as Shown;
  return {
    ...{ plane, go, shown, folder },
    sync: async (dir) => JSON.parse(await go(['sync', dir])) as Synced,
    told: async (dir) => {
      const lines = (await go(['poll', dir])).split('\n').filter((one) => one !== '');
      const orders = lines.map((one) => JSON.parse(one) as { verb: string; status: string; token?: string });
      assert.ok(orders.every(({ verb, status }) => verb === 'DeclarativeManagement' && status === 'Acknowledged'));
      return orders.map(({ token }) => token);
    },
    enrolled: async () => {
      const dir = folder();
      const [offer] = await plane.offer(1);
      phones += 1;
      await go(['enrol', dir, offer!.link, `sha256,rsa,detached,put,n=${phones.toString(16).toUpperCase()}`]);
      return { device: offer!.device, dir };
    },
    declare: async (identifier, type, payload) =>
      String(bodyOf(await admin.call('POST', '/api/declarations', { identifier, type, payload }))['id']),
    putSet: async (id, name, declarations, devices) => {
      const body = { id, name, predicate: null, everyone: false, groups: [], declarations, devices };
      const answer = await admin.call('POST', '/api/declaration-sets', body);
      await plane.declare();
      return String(bodyOf(answer)['id']);
    },
    states: async (device, but = 'bartizan.set.') =>
      Object.fromEntries(
        (await shown(device)).declarations
          .filter(({ identifier }) => !identifier.startsWith(but))
          .map(({ identifier, state }) => [identifier, state]),
      ),
    server: async () => {
      const server = await buildGo('foreignphone', `${KMFDDM}/cmd/kmfddm`);
      dirs.push(dirname(server));
      return server;
    },
    kmfddm: () => goModule('foreignphone', KMFDDM),
    close: async () => {
      await desk.close();
      await plane.close();
      for (const path of dirs) rmSync(path, { recursive: true, force: true });
    },
  };
}
