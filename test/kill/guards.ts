import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from '#guard';
import { verifyLogDir } from '../../src/run/log-verify.ts';
import { Dice } from '../fuzz/dice.ts';
import { ADMINS, Guards } from '../spec/guards/fixture.ts';
import { GuardActs } from './guard-acts.ts';
import { type GuardName, GuardProcess } from './guard-process.ts';

export interface GuardStormOptions {
  /** Of each guard. */
  readonly kills: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface GuardStormResult {
  readonly kills: Readonly<Record<GuardName, number>>;
  /** Milliseconds from the start until the doors are open, after a kill. */
  readonly restart_ms: Readonly<Record<GuardName, { median: number; most: number }>>;
  readonly touches: number;
  readonly records: number;
  readonly settled: number;
  readonly locks: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

/**
 * Kills sealer and ledger with SIGKILL at random moments under a stream of reveals, settles, locks and replays, then holds what
 * callers saw against the log: never more records than the log says, never more than the caps, no grant twice, nothing lost.
 */
export async function stormGuards({ kills, seed, say }: GuardStormOptions): Promise<GuardStormResult> {
  const dice = new Dice(seed);
  // So that the caps are reached while guards still die.
  const caps = { perTouch: 5, perDay: 4 * kills + 10, emailsPerDay: 4 * kills + 10, orgPerDay: 100_000 };
  const guards = await Guards.start(caps);
  await guards.stopSealer();
  await guards.stopLedger();
  const older = join(guards.folder, 'older-sealer');
  cpSync(join(guards.folder, 'sealer'), older, { recursive: true });
  const processes = { ledger: new GuardProcess(guards, 'ledger'), sealer: new GuardProcess(guards, 'sealer') };
  const acts = new GuardActs(guards, dice);
  const took: Record<GuardName, number[]> = { ledger: [], sealer: [] };
  const broken: string[] = [];
  try {
    await processes.ledger.start();
    await processes.sealer.start();
    acts.start(6);
    const victims = dice.bytes(2 * kills).map((byte) => byte);
    const left: Record<GuardName, number> = { ledger: kills, sealer: kills };
    for (let n = 0; n < 2 * kills; n += 1) {
      const wanted: GuardName = (victims[n]! & 1) === 0 ? 'ledger' : 'sealer';
      const name: GuardName = left[wanted] > 0 ? wanted : wanted === 'ledger' ? 'sealer' : 'ledger';
      left[name] -= 1;
      await sleep(20 + dice.below(350));
      await processes[name].kill();
      took[name].push(await processes[name].start());
      if ((n + 1) % 20 === 0) say(`${n + 1} killed, ${acts.touched.length} touches, ${acts.settled.size} settled`);
    }
    await acts.stop();
    broken.push(...(await afterwards(guards, acts, processes, older)));
  } finally {
    await acts.stop();
    await processes.sealer.stop();
    await processes.ledger.stop();
  }
  broken.push(...(await judge(guards, acts, caps)));
  await guards.close();
  return {
    kills: { ledger: took.ledger.length, sealer: took.sealer.length },
    restart_ms: { ledger: spread(took.ledger), sealer: spread(took.sealer) },
    touches: acts.touched.length,
    records: acts.touched.reduce((sum, one) => sum + one.records, 0),
    ...{ settled: acts.settled.size, locks: acts.locked.ledger.size, refused: acts.refused },
    broken: [...broken, ...acts.odd.slice(0, 5)],
  };
}

/** Once nobody dies any more: locks are on, values open, old touches stay used, also for a sealer whose disk went back. */
async function afterwards(
  guards: Guards,
  acts: GuardActs,
  processes: Readonly<Record<GuardName, GuardProcess>>,
  older: string,
): Promise<string[]> {
  const broken: string[] = [];
  for (const guard of ['ledger', 'sealer'] as const) {
    const core = guard === 'ledger' ? guards.client('ledger', 'core') : guards.client('sealer', 'core');
    const { locked } = await core.call<{ locked: { target: string }[] }>('status', {});
    const on = new Set(locked.map(({ target }) => target));
    const lost = [...acts.locked[guard]].filter((target) => !on.has(target));
    if (lost.length > 0) broken.push(`the ${guard} lost the locks ${lost.join(' ')}`);
  }
  await usedStaysUsed(acts, broken);
  await processes.sealer.stop();
  rmSync(join(guards.folder, 'sealer'), { recursive: true });
  cpSync(older, join(guards.folder, 'sealer'), { recursive: true });
  await processes.sealer.start();
  // Locks that only the sealer answered for are gone with its disk; the ledger's are taken up again.
  const { locked } = await guards.client('sealer', 'core').call<{ locked: { target: string }[] }>('status', {});
  await usedStaysUsed(acts, broken);
  const on = new Set(locked.map(({ target }) => target));
  const again = await guards.client('sealer', 'core').call<{ locked: { target: string }[] }>('status', {});
  for (const { target } of again.locked) on.add(target);
  const lost = [...acts.locked.ledger].filter((target) => !on.has(target));
  if (lost.length > 0) broken.push(`a sealer of the past does not know the locks ${lost.join(' ')}`);
  return broken;
}

async function usedStaysUsed(acts: GuardActs, broken: string[]): Promise<void> {
  for (const one of acts.touched.filter(({ answers }) => answers > 0).slice(-25)) {
    const before = one.answers;
    await acts.send(one).catch(() => {});
    if (one.answers !== before) broken.push(`the grant ${one.grant.id} was served again`);
  }
}

/** What callers saw, held against the log. */
async function judge(
  guards: Guards,
  acts: GuardActs,
  caps: { perDay: number; emailsPerDay: number },
): Promise<string[]> {
  const broken: string[] = [];
  const report = await verifyLogDir(guards.logDir, { verifierKey: guards.keys.log });
  if (!report.ok) broken.push(`the log does not verify: ${JSON.stringify(report.problems.slice(0, 3))}`);
  const ledger = await Ledger.open(guards.ledgerOptions());
  const logged = new Map<string, { admin: string; asked: number }>();
  for (let from = 0; ; ) {
    const page = await ledger.log.tail(from, 0);
    if (page.length === 0) break;
    for (const { leaf, entry } of page) {
      from = leaf + 1;
      if (entry.kind !== 'directory.revealed') continue;
      const { grant, asked } = entry.detail as { grant: string; asked: number };
      if (logged.has(grant)) broken.push(`the grant ${grant} is in the log twice`);
      logged.set(grant, { admin: entry.actor ?? '', asked });
    }
  }
  for (const admin of ADMINS)
    for (const field of ['number', 'email'] as const) {
      const own = acts.touched.filter(({ grant }) => grant.admin === admin && grant.field === field);
      const records = own.reduce((sum, one) => sum + one.records, 0);
      const asked = own.reduce((sum, one) => sum + (logged.get(one.grant.id)?.asked ?? 0), 0);
      const cap = field === 'number' ? caps.perDay : caps.emailsPerDay;
      if (records > asked) broken.push(`${admin} has ${records} records, the log says ${asked}`);
      if (asked > cap) broken.push(`${admin} read ${asked}, the limit is ${cap}`);
    }
  for (const { grant, answers, records } of acts.touched) {
    if (answers > 1) broken.push(`the grant ${grant.id} was answered ${answers} times`);
    if (records > 0 && !logged.has(grant.id)) broken.push(`the grant ${grant.id} is not in the log`);
  }
  await ledger.close();
  return broken;
}

function spread(all: readonly number[]): { median: number; most: number } {
  const sorted = [...all].sort((a, b) => a - b);
  return { median: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0), most: Math.round(sorted.at(-1) ?? 0) };
}
