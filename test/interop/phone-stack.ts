import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, systemClock, toBase64url } from '#base';
import {
  DEFAULT_POLICY,
  type EdgeDoors,
  edgeServer,
  makeEdgeSecrets,
  makeRegistrationKey,
  Refusals,
  readEdgeSecrets,
  registerEdge,
} from '#edge';
import {
  type DeviceCa,
  dispatchReady,
  foundStandard,
  type IdentityKind,
  type IntentInput,
  issuePending,
  judgeAttestations,
  makeCa,
  offerEnrolments,
  readAttestationRoots,
  type StatedIntent,
  setIdentityPolicy,
  stateIntent,
  stepDeclarations,
} from '#fleet';
import { newPen, type PublicKeys } from '#seal';
import type { Phone } from '#sim';
import { openPool, type Pool, testDatabase, tx } from '#store';

/** The device plane with a true database and core's work, in one process; each part with its own role's rights. */
export interface DevicePlane {
  /** Where phones find edge. */
  readonly url: string;
  readonly keys: PublicKeys;
  readonly ca: DeviceCa;
  /** As core, to look at rows. */
  readonly core: Pool;
  readonly console: Pool;
  readonly edge: Pool;
  /** Writes what edge counted as refused. */
  counted(): Promise<Record<string, number>>;
  /** As the database's owner: what no process may read. */
  owner<T extends object>(sql: string, params: readonly unknown[]): Promise<T[]>;
  /** Problems that edge told its operator. */
  readonly problems: string[];
  /** Enrolment links, with the handles of the devices that wait for them. */
  offer(count: number, identity?: IdentityKind): Promise<{ device: string; link: string }[]>;
  /** States what the console would, lets core dispatch it; answers device handle → command uuid. */
  order(
    verb: IntentInput['verb'],
    devices: readonly string[] | 'all',
    params?: IntentInput['params'],
  ): Promise<Map<string, string>>;
  /** Core's work on declarations, until there is none left. */
  declare(): Promise<void>;
  /** As the database's owner, for what other parts of core do through functions of their own. */
  asOwner(sql: string, params: readonly unknown[]): Promise<void>;
  /** A second edge that has seen nothing yet; asks it in a phone's name. */
  anotherEdge(): Promise<{
    readonly url: string;
    ask(phone: Phone, endpoint: string): Promise<{ status: number; body: Buffer }>;
    close(): Promise<void>;
  }>;
  /** States an intent as the console would, and leaves it to `dispatch`. */
  state(input: Pick<IntentInput, 'verb' | 'devices'> & Partial<IntentInput>): Promise<StatedIntent>;
  /** One step of core's dispatch, with its key. */
  dispatch(options?: { laneOpen?: boolean; changePerHour?: number; now?: () => number }): Promise<number>;
  /** The ledger's key, for the permits that a test plays. */
  readonly ledgerKey: KeyObject;
  /** Core's key, for what its loops sign. */
  readonly signKey: KeyObject;
  close(): Promise<void>;
}

const raw = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });

function publicKeys(core: KeyObject, ledger: KeyObject, release: string): PublicKeys {
  const x25519 = () => toBase64url(raw(generateKeyPairSync('x25519').publicKey).subarray(-32));
  return {
    v: 1,
    org: 'example',
    inner: x25519(),
    outer: x25519(),
    ledger: toBase64url(raw(ledger)),
    log: 'example.org/log+00000000+AA',
    core: toBase64url(raw(createPublicKey(core))),
    release,
    writers: { edge: '', intake: '', glass: '' },
  };
}

export interface PlaneOptions {
  /** PEM texts of the attestation roots that this installation believes. */
  readonly roots?: readonly string[];
  /** The least that an enrolment may ask for. */
  readonly policy?: IdentityKind;
}

export async function devicePlane(given: Partial<EdgeDoors> = {}, options: PlaneOptions = {}): Promise<DevicePlane> {
  const database = await testDatabase();
  const dir = mkdtempSync(join(tmpdir(), 'btz-edge-'));
  const pools = {
    edge: openPool(database.as('edge')),
    core: openPool(database.as('core')),
    console: openPool(database.as('console')),
    owner: openPool(database.admin, { max: 2 }),
  };
  const owner = openPool(database.admin, { max: 1 });
  const signKey = generateKeyPairSync('ed25519').privateKey;
  const ledgerKey = generateKeyPairSync('ed25519').privateKey;
  const keys = publicKeys(signKey, createPublicKey(ledgerKey), makeEdgeSecrets(dir).release);
  const ca = makeCa(dir, Date.now());
  const problems: string[] = [];
  const log: Logger = {
    info: () => {},
    warn: (message, facts) => void problems.push(`${message} ${JSON.stringify(facts ?? {})}`),
    error: (message, cause) => void problems.push(`${message}: ${cause instanceof Error ? cause.message : cause}`),
  };
  const roots = readAttestationRoots(options.roots ?? []);
  await setIdentityPolicy(pools.core, options.policy ?? 'scep', roots);
  // Core's loop, without its process.
  let stopped = false;
  const signing = (async () => {
    while (!stopped) {
      await judgeAttestations(pools.core, { roots, now: Date.now() });
      await issuePending(pools.core, ca, Date.now());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  makeRegistrationKey(dir);
  const secrets = readEdgeSecrets(dir, keys.release);
  const identity = await registerEdge(pools.edge, dir);
  const refusals = new Refusals(pools.edge, log);
  let origin = '';
  const edgeDoors: Parameters<typeof edgeServer>[0] = {
    ...{ pool: pools.edge, keys, identity, ca: identity.ca, clock: systemClock, log, refusals, allowLegacy: true },
    ...{ secrets, pen: newPen('edge').pen, policy: DEFAULT_POLICY },
    ...{ organisation: 'Example Agency', topic: 'com.apple.mgmt.External.example' },
    ...given,
    get origin() {
      return origin;
    },
  };
  const edge = edgeServer(edgeDoors);
  const { server } = edge;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const state: DevicePlane['state'] = (input) =>
    tx(pools.console, (t) =>
      stateIntent(t, {
        ...{ params: {}, requester: 'amber-otter-4821', purpose: 'a test of phones', now: Date.now() },
        ...input,
      }),
    );
  return {
    url: origin,
    keys,
    ca,
    core: pools.core,
    edge: pools.edge,
    console: pools.console,
    owner: async <T extends object>(sql: string, params: readonly unknown[]) =>
      (await pools.owner.query<T>(sql, [...params])).rows,
    problems,
    counted: async () => {
      await refusals.flush();
      const { rows } = await pools.core.query<{ reason: string; n: number }>(
        `select body->'unmapped'->>'reason' as reason, sum((body->'unmapped'->>'count')::int)::int as n
         from log.event where kind = 'edge.refused' group by 1`,
      );
      return Object.fromEntries(rows.map(({ reason, n }) => [reason, n]));
    },
    offer: async (count, identity = 'scep') => {
      const holders = Array.from({ length: count }, () => null);
      const offers = await tx(pools.console, (t) =>
        offerEnrolments(t, { createdBy: 'amber-otter-4821', holders, ttlMs: 600_000, identity }),
      );
      return offers.map(({ device, token }) => ({ device, link: `${origin}/enrol/${token}` }));
    },
    signKey,
    ledgerKey,
    state,
    dispatch: (options = {}) => dispatchReady(pools.core, { signKey, laneOpen: true, ...options }),
    order: async (verb, devices, params = {}) => {
      const stated = await state({ verb, devices, params });
      await dispatchReady(pools.core, { signKey, laneOpen: true });
      return new Map(stated.targets.map(({ device, uuid }) => [device, uuid]));
    },
    declare: async () => {
      await foundStandard(pools.core, signKey);
      while ((await stepDeclarations(pools.core, { signKey, laneOpen: true })) > 0);
    },
    asOwner: async (sql, params) => {
      await owner.query(sql, params);
    },
    anotherEdge: async () => {
      const { server, close } = edgeServer(edgeDoors);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const url = `http://127.0.0.1:${port}`;
      return {
        url,
        ask: (phone, endpoint) => phone.sayDeclarative(endpoint, `${url}/checkin`),
        close,
      };
    },
    close: async () => {
      stopped = true;
      await signing;
      await refusals.close();
      await edge.close();
      await Promise.all([owner, ...Object.values(pools)].map((pool) => pool.end()));
      await database.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
