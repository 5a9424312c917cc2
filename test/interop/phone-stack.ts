import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, systemClock, toBase64url } from '#base';
import { edgeServer, makeRegistrationKey, Refusals, registerEdge } from '#edge';
import {
  dispatchReady,
  type IdentityKind,
  type IntentInput,
  issuePending,
  judgeAttestations,
  makeCa,
  offerEnrolments,
  readAttestationRoots,
  setIdentityPolicy,
  stateIntent,
} from '#fleet';
import type { PublicKeys } from '#seal';
import { openPool, type Pool, testDatabase, tx } from '#store';

/** The device plane with a true database and core's work, in one process; each part with its own role's rights. */
export interface DevicePlane {
  /** Where phones find edge. */
  readonly url: string;
  /** As core, to look at rows. */
  readonly core: Pool;
  readonly console: Pool;
  /** Writes what edge counted as refused. */
  counted(): Promise<Record<string, number>>;
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
  close(): Promise<void>;
}

const raw = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });

function publicKeys(core: KeyObject, ledger: KeyObject): PublicKeys {
  const x25519 = () => toBase64url(raw(generateKeyPairSync('x25519').publicKey).subarray(-32));
  return {
    v: 1,
    org: 'example',
    inner: x25519(),
    outer: x25519(),
    ledger: toBase64url(raw(ledger)),
    log: 'example.org/log+00000000+AA',
    core: toBase64url(raw(createPublicKey(core))),
  };
}

export interface PlaneOptions {
  /** PEM texts of the attestation roots that this installation believes. */
  readonly roots?: readonly string[];
  /** The least that an enrolment may ask for. */
  readonly policy?: IdentityKind;
}

export async function devicePlane(options: PlaneOptions = {}): Promise<DevicePlane> {
  const database = await testDatabase();
  const dir = mkdtempSync(join(tmpdir(), 'btz-edge-'));
  const pools = {
    edge: openPool(database.as('edge')),
    core: openPool(database.as('core')),
    console: openPool(database.as('console')),
  };
  const signKey = generateKeyPairSync('ed25519').privateKey;
  const keys = publicKeys(signKey, generateKeyPairSync('ed25519').publicKey);
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
  const identity = await registerEdge(pools.edge, dir);
  const refusals = new Refusals(pools.edge, log);
  let origin = '';
  const edge = edgeServer({
    ...{ pool: pools.edge, keys, identity, ca: identity.ca, clock: systemClock, log, refusals, allowLegacy: true },
    ...{ organisation: 'Example Agency', topic: 'com.apple.mgmt.External.example' },
    get origin() {
      return origin;
    },
  });
  const { server } = edge;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: origin,
    core: pools.core,
    console: pools.console,
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
    order: async (verb, devices, params = {}) => {
      const stated = await tx(pools.console, (t) =>
        stateIntent(t, {
          ...{ verb, devices, params, requester: 'amber-otter-4821' },
          ...{ purpose: 'a test of phones', now: Date.now() },
        }),
      );
      await dispatchReady(pools.core, { signKey, laneOpen: true });
      return new Map(stated.targets.map(({ device, uuid }) => [device, uuid]));
    },
    close: async () => {
      stopped = true;
      await signing;
      await refusals.close();
      await edge.close();
      await Promise.all(Object.values(pools).map((pool) => pool.end()));
      await database.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
