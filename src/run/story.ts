import { writePlist } from '#wire';
import { attackEdge, type EdgeAttack } from './drill/edge-attack.ts';
import { observe } from './drill/observer.ts';
import { type StolenAdmin, stealAdmin } from './drill/stolen-admin.ts';
import { stealFiles } from './drill/stolen-files.ts';
import { foreignVerifiers } from './foreign.ts';
import { allOf } from './person.ts';
import type { Stage } from './stage.ts';
import { must, until } from './stage.ts';
import type { Product } from './supervisor.ts';

/** A harmless profile: a home-screen web clip. */
const PROFILE = writePlist({
  PayloadType: 'Configuration',
  PayloadVersion: 1,
  PayloadIdentifier: 'org.example.help',
  PayloadUUID: '7d1f3c52-5a0e-4a2e-9a57-0d6d1c1f0a11',
  PayloadDisplayName: 'Help desk',
  PayloadContent: [
    {
      PayloadType: 'com.apple.webClip.managed',
      PayloadVersion: 1,
      PayloadIdentifier: 'org.example.help.clip',
      PayloadUUID: '0b7f55a0-55c4-4b6f-8c3c-9f0f4a8c2b22',
      Label: 'Help desk',
      URL: 'https://help.example.org/',
      IsRemovable: true,
    },
  ],
}).toString('utf8');

/** What was seen, in the form that scripts rely on. */
export interface StoryResult {
  readonly devices_enrolled: number;
  readonly commands_acknowledged: number;
  readonly people_sealed: number;
  readonly planted_values_found: number;
  readonly edge_attack: { readonly steps_tried: number; readonly steps_that_read_something: number };
  readonly stolen_admin: { readonly records_read: number; readonly cap: number };
  readonly alert_ms: number | null;
  readonly contained_ms: number | null;
  readonly exposure: { readonly proven: number; readonly upper_bound: number; readonly unreadable: number };
  readonly wipes_requested: number;
  readonly wipes_executed: number;
  readonly log: { readonly entries: number; readonly verified_by: readonly string[] };
}

/** Sends DeviceInformation and a profile to every phone and waits for the answers. Returns how many were acknowledged. */
export async function manageFleet(stage: Stage): Promise<number> {
  const admin = stage.admins[0]!;
  const devices = (await allOf<{ handle: string; state: string }>(admin, '/api/devices'))
    .filter((device) => device.state === 'enrolled')
    .map((device) => device.handle);
  for (const [verb, params] of [
    ['DeviceInformation', {}],
    ['InstallProfile', { profile: PROFILE }],
  ] as const) {
    must(
      await admin.call('POST', '/api/intents', {
        verb,
        devices,
        params,
        purpose: 'first inventory and help desk link',
      }),
      200,
      'a command was not taken',
    );
  }
  const done = () => stage.fleet.numbers().executed.size;
  await until(() => done() >= devices.length * 2, 120_000, 250);
  return done();
}

/** How many people are under their locks: all fields settled. */
export async function sealedPeople(stage: Stage): Promise<number> {
  const admin = stage.admins[0]!;
  let count = 0;
  await until(async () => {
    const people = await allOf<{ fields: string[] }>(admin, '/api/people');
    count = people.filter((person) =>
      ['name', 'number', 'email'].every((field) => person.fields.includes(field)),
    ).length;
    return count >= stage.people;
  }, 60_000);
  return count;
}

export interface Attacked {
  /** Whether processes have users of their own (L1): only then are files of others promised to be out of reach. */
  readonly walls: boolean;
  readonly edge: EdgeAttack;
  readonly stolen: StolenAdmin;
  readonly filesFound: number;
  readonly filesUnread: number;
  readonly alertMs: number | null;
  readonly containedMs: number | null;
  readonly rules: readonly string[];
  readonly wipesExecuted: number;
  readonly doneTwice: number;
  readonly exposure: {
    readonly proven: number;
    readonly upper: number;
    readonly unreadable: number;
    readonly incident: string;
  };
  readonly log: { readonly ok: boolean; readonly entries: number; readonly verifiedBy: readonly string[] };
}

/** The three attacks of the January drill on a living product, judged from outside. The last admin of the stage is the stolen one. */
export async function attack(product: Product, stage: Stage, tell: (line: string) => void): Promise<Attacked> {
  const edge = await attackEdge(product, stage.planted);
  tell(
    `edge: ${edge.stepsTried} attacks inside the internet-facing process, ${edge.stepsThatReadSomething} read a name or number`,
  );
  if (product.level === 'L0' && edge.guardsTaken.length > 0) {
    tell(
      `not promised at L0: he also took the files of ${edge.guardsTaken.join(' and ')}, keys among them. Run as root for walls.`,
    );
  }
  const victim = stage.admins.at(-1)!;
  const stolen = await stealAdmin(victim);
  tell(
    `stolen admin ${victim.admin}: read ${stolen.recordsRead} people, asked to erase ${stolen.wipesRequested} devices, ${stolen.cutOff ? 'cut off' : 'NOT cut off'}`,
  );
  const officer = stage.admins[0]!;
  let incident = '';
  await until(async () => {
    const incidents = await allOf<{ id: string; principal: string | null }>(officer, '/api/incidents');
    incident = incidents.find((one) => one.principal === victim.admin)?.id ?? '';
    return incident !== '';
  }, 15_000);
  const report = await officer.call('POST', `/api/incidents/${incident}/exposure`, {});
  must(report, 200, 'no exposure report');
  const exposure = {
    proven: Number(report.body['provenCount']),
    upper: Number(report.body['upperBoundCount']),
    unreadable: Number(report.body['unreadableCount']),
    incident,
  };
  tell(`exposure: ${exposure.proven} proven, at most ${exposure.upper}, ${exposure.unreadable} unreadable`);
  const files = await stealFiles(product, stage.planted);
  tell(
    `stolen database and files: ${(files.searchedBytes / 1_048_576).toFixed(0)} MiB searched, ${files.finds.length} finds`,
  );
  const verdict = await observe({
    planted: ['unused value'],
    places: [],
    logDir: `${product.home.dir}/ledger/log`,
    logKey: product.keys.log,
    admin: product.admin,
    since: stolen.startedAt,
  });
  const database = verdict.database!;
  const ours = verdict.log?.ok ? [`bartizan log verify (${product.level}, outside process)`] : [];
  const verifiedBy = [...ours, ...(await foreignVerifiers(`${product.home.dir}/ledger/log`, product.keys.log))];
  tell(
    `alert after ${database.alertMs} ms, contained after ${database.containedMs} ms, ${database.wipesExecuted} devices erased, log of ${verdict.log?.entries} entries ${verdict.log?.ok ? 'verifies' : 'DOES NOT VERIFY'}`,
  );
  return {
    walls: product.level !== 'L0',
    edge,
    stolen,
    filesFound: files.finds.length,
    filesUnread: files.unread.length,
    alertMs: database.alertMs,
    containedMs: database.containedMs,
    rules: database.rules,
    wipesExecuted: database.wipesExecuted,
    doneTwice: database.doneTwice,
    exposure,
    log: { ...(verdict.log ?? { ok: false, entries: 0 }), verifiedBy },
  };
}

/** The story's outcome as `demo --check` prints it; `cap` is what one admin may read in a day. */
export function resultOf(
  stage: Stage,
  seen: { readonly acknowledged: number; readonly sealed: number },
  attacked: Attacked,
  cap: number,
): StoryResult {
  const { edge, stolen, exposure, log } = attacked;
  return {
    devices_enrolled: stage.fleet.numbers().enrolled,
    commands_acknowledged: seen.acknowledged,
    people_sealed: seen.sealed,
    planted_values_found: attacked.filesFound,
    edge_attack: { steps_tried: edge.stepsTried, steps_that_read_something: edge.stepsThatReadSomething },
    stolen_admin: { records_read: stolen.recordsRead, cap },
    alert_ms: attacked.alertMs,
    contained_ms: attacked.containedMs,
    exposure: { proven: exposure.proven, upper_bound: exposure.upper, unreadable: exposure.unreadable },
    wipes_requested: stolen.wipesRequested,
    wipes_executed: attacked.wipesExecuted,
    log: { entries: log.entries, verified_by: log.ok ? log.verifiedBy : [] },
  };
}

/** The promises, each with whether it was kept. */
export function promises(
  result: StoryResult,
  attacked: Attacked,
  stage: Stage,
): readonly { readonly promise: string; readonly kept: boolean }[] {
  return [
    { promise: 'every simulated phone enrolled', kept: result.devices_enrolled === stage.fleet.phones.length },
    { promise: 'every command was answered', kept: result.commands_acknowledged >= result.devices_enrolled * 2 },
    {
      promise: 'no command was done twice',
      kept: attacked.doneTwice === 0 && stage.fleet.numbers().doubles.length === 0,
    },
    { promise: 'everybody in the directory is sealed', kept: result.people_sealed >= stage.people },
    {
      promise: 'the attacker inside edge read no name and no number',
      kept: result.edge_attack.steps_that_read_something === 0,
    },
    {
      promise: 'the attacker inside edge took no guard’s keys (L1)',
      kept: !attacked.walls || attacked.edge.guardsTaken.length === 0,
    },
    {
      promise: 'database, dump, logs and backups hold no name and no number in clear',
      kept: result.planted_values_found === 0 && attacked.filesUnread === 0,
    },
    { promise: 'a stolen cookie alone reads nobody', kept: attacked.stolen.cookieAloneRead === 0 },
    {
      promise: 'a stolen admin reads at most the cap',
      kept: result.stolen_admin.records_read <= result.stolen_admin.cap,
    },
    { promise: 'a stolen admin is cut off', kept: attacked.stolen.cutOff },
    { promise: 'no new admin was made', kept: attacked.stolen.newAdminRefused },
    { promise: 'the alert came within 10 s', kept: result.alert_ms !== null && result.alert_ms <= 10_000 },
    { promise: 'contained within 60 s', kept: result.contained_ms !== null && result.contained_ms <= 60_000 },
    {
      promise: 'the exposure report counts at least what was read',
      kept:
        result.exposure.proven >= result.stolen_admin.records_read &&
        result.exposure.upper_bound >= result.exposure.proven,
    },
    {
      promise: 'a mass wipe was asked for, or its asker cut off before, and no device was erased',
      kept: (result.wipes_requested > 0 || attacked.stolen.cutOff) && result.wipes_executed === 0,
    },
    { promise: 'the log verifies', kept: attacked.log.ok && result.log.verified_by.length > 0 },
  ];
}
