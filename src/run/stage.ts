import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  inventPeople,
  KeyPool,
  newPhone,
  openLine,
  ownersDeviceName,
  Phone,
  PhoneFleet,
  type PhoneState,
  PushService,
  peopleCsv,
  plantedValues,
  type SoftwarePasskey,
} from '#sim';
import { RunError } from './config.ts';
import { allOf, Person } from './person.ts';
import { installPush } from './push.ts';
import type { Product } from './supervisor.ts';

/** The invented world around a product: its admins (software passkeys), its people, its phones. Kept in `<home>/demo`. */
export interface Stage {
  readonly admins: readonly Person[];
  readonly fleet: PhoneFleet;
  /** Every name, number, address and device name that must not be found in clear anywhere. */
  readonly planted: readonly string[];
  readonly people: number;
  save(): void;
  close(): Promise<void>;
}

interface Saved {
  readonly passkeys: SoftwarePasskey[];
  readonly phones: PhoneState[];
  readonly people: number;
}

export interface StageOptions {
  readonly people: number;
  readonly phones: number;
  /** How many of the founders are played by software passkeys; the others are for real people. */
  readonly admins: number;
  /** Time between two polls of one phone, milliseconds; with `push` the phones need few. */
  readonly pollMs: number;
  /** Plays APNs: gives the product its push certificate and wakes the phones. The product must be told its address. */
  readonly push?: PushService;
}

/** Starts a push service and says where it is, for `startProduct`. */
export async function playApns(): Promise<{ service: PushService; push: { url: string; ca: string } }> {
  const service = new PushService();
  const url = await service.listen();
  return { service, push: { url, ca: service.ca } };
}

/** Sets the stage on a fresh product, or takes up where the last run ended. */
export async function setStage(product: Product, options: StageOptions): Promise<Stage> {
  const dir = join(product.home.dir, 'demo');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const file = join(dir, 'stage.json');
  const saved = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Saved) : undefined;
  const line = openLine({ sockets: 16 });
  const stage = saved === undefined ? await build(product, options, line) : resume(product, saved, options, line);
  const invented = inventPeople(stage.people);
  const planted = plantedValues(
    invented,
    stage.fleet.phones.map((phone) => phone.state),
  );
  const save = () => {
    // What a phone holds of its owner is in the phone, not on the server's disk: it is invented anew at the next start.
    const phones = stage.fleet.phones.map(({ state }, i) => {
      const { deviceName, phoneNumber } = contentsOf(invented, i);
      return {
        ...state,
        deviceName: state.deviceName === deviceName ? OWNERS : state.deviceName,
        phoneNumber: state.phoneNumber === phoneNumber ? OWNERS : state.phoneNumber,
      };
    });
    const passkeys = stage.admins.map((admin) => admin.passkey);
    const text = JSON.stringify({ passkeys, phones, people: stage.people } satisfies Saved);
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  save();
  if (options.push !== undefined) await wakeByPush(product, stage.fleet, options.push);
  return {
    ...stage,
    planted,
    save,
    close: async () => {
      await stage.fleet.stop();
      line.close();
      save();
    },
  };
}

async function wakeByPush(product: Product, fleet: PhoneFleet, service: PushService): Promise<void> {
  for (const { state } of fleet.phones) service.knows(Buffer.from(state.pushToken, 'base64'));
  service.onPush = (pushed) => fleet.wake(pushed);
  const { canary } = await installPush(product.home, service.issue(product.topic));
  if (canary !== 'accepted')
    throw new RunError('start-failed', `The push service was not accepted: ${canary ?? 'not tried'}.`);
}

/** Stands in a saved phone for what its owner gave it. */
const OWNERS = '(its owner’s)';

/** Kind, name and number of the phone at this place in the fleet. */
function contentsOf(invented: ReturnType<typeof inventPeople>, i: number) {
  const owner = invented[i % invented.length]!;
  const kind = i % 5 === 4 ? ('iPad' as const) : ('iPhone' as const);
  return { kind, deviceName: ownersDeviceName(owner, kind), phoneNumber: owner.mobile };
}

type Built = Pick<Stage, 'admins' | 'fleet' | 'people'>;

async function build(product: Product, options: StageOptions, line: ReturnType<typeof openLine>): Promise<Built> {
  const keys = new KeyPool();
  const filled = keys.fill(options.phones);
  const admins: Person[] = [];
  for (const founder of product.founders.slice(0, options.admins)) {
    const person = new Person(product.urls, founder.admin);
    must(await person.join(founder.token), 200, 'a founder could not join');
    must(await person.signIn(), 200, 'a founder could not sign in');
    admins.push(person);
  }
  const invented = inventPeople(options.people);
  await importPeople(product, peopleCsv(invented));
  const holders = (await allOf<{ handle: string }>(admins[0]!, '/api/people')).map((person) => person.handle);
  const offered = await admins[0]!.call('POST', '/api/enrolments', {
    holders: Array.from({ length: options.phones }, (_, i) => holders[i % holders.length] ?? null),
  });
  must(offered, 200, 'enrolments could not be offered');
  const links = (offered.body['items'] as { link: string }[]).map((one) => one.link);
  const phones = links.map((_, i) => {
    const state = newPhone(contentsOf(invented, i));
    return new Phone(state, { send: line.send, keyPool: keys, behaviour: i % 20 === 7 ? { notNow: 2 } : {} });
  });
  const fleet = new PhoneFleet(phones, { intervalMs: options.pollMs, concurrency: 12 });
  await filled;
  // On a machine that is busy with other things one may have to open its link again.
  for (let tries = 0; tries < 3 && (await fleet.enrol(links)) < phones.length; tries += 1);
  return { admins, fleet, people: options.people };
}

function resume(product: Product, saved: Saved, options: StageOptions, line: ReturnType<typeof openLine>): Built {
  const admins = saved.passkeys.map((passkey) => new Person(product.urls, passkey.admin ?? '', passkey));
  const invented = inventPeople(saved.people);
  const phones = saved.phones.map((state, i) => {
    const { deviceName, phoneNumber } = contentsOf(invented, i);
    if (state.deviceName === OWNERS) state.deviceName = deviceName;
    if (state.phoneNumber === OWNERS) state.phoneNumber = phoneNumber;
    return new Phone(state, { send: line.send });
  });
  const fleet = new PhoneFleet(phones, { intervalMs: options.pollMs, concurrency: 12 });
  return { admins, fleet, people: saved.people };
}

/** Hands a CSV file to intake, as `bartizan import` does. Returns the handles. Throws with the refused lines. */
export function importPeople(
  product: { readonly home: Product['home'] },
  csv: string,
  path: '/import' | '/canaries' = '/import',
): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath: product.home.socket('intake', 'operator'),
        ...{
          path,
          method: 'POST',
          headers: { 'content-type': 'text/csv', 'content-length': Buffer.byteLength(csv) },
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          let body: { handles?: string[]; refused?: { line: number; code: string }[]; title?: string } = {};
          try {
            body = JSON.parse(text) as typeof body;
          } catch {
            // an answer that is not ours
          }
          if (response.statusCode === 200 && body.handles) return resolve(body.handles);
          const lines = (body.refused ?? []).slice(0, 20).map(({ line, code }) => `line ${line}: ${code}`);
          return reject(new RunError('usage', [body.title ?? 'Nothing was imported.', ...lines].join('\n')));
        });
      },
    );
    call.on('error', (cause) =>
      reject(
        new RunError('start-failed', 'Intake cannot be reached. Is Bartizan running, and is this its --home?', {
          cause,
        }),
      ),
    );
    call.end(csv);
  });
}

export function must(answer: { status: number; body: Record<string, unknown> }, status: number, what: string): void {
  if (answer.status === status || (status === 200 && answer.status > 200 && answer.status < 300)) return;
  throw new RunError(
    'start-failed',
    `${what}: ${answer.status} ${String(answer.body['code'] ?? '')} ${String(answer.body['title'] ?? '')}`,
  );
}

/** Waits until `ready` says so, at most `ms`. */
export async function until(ready: () => Promise<boolean> | boolean, ms: number, stepMs = 200): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += stepMs) {
    if (await ready()) return true;
    await sleep(stepMs);
  }
  return ready();
}
