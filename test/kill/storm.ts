import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../src/run/stage.ts';
import { Dice } from '../fuzz/dice.ts';
import { Acts } from './acts.ts';
import { judge } from './ending.ts';
import { type Broken, look } from './invariants.ts';
import { CALM } from './lean-phone.ts';
import { hurry } from './slow-work.ts';
import { revive, strike, VICTIMS, type Victim } from './victims.ts';
import { openWorld, type World } from './world.ts';

export interface StormOptions {
  readonly kills: number;
  readonly seed: number;
  /** Kills no more after this long, even if there are kills left. */
  readonly minutes: number;
  /** Phones that enrol, renew and take rollouts; and phones that only talk. */
  readonly whole: number;
  readonly lean: number;
  readonly say: (line: string) => void;
  /** Ends it early; everything that was started is stopped. */
  readonly signal?: AbortSignal;
}

export interface StormResult {
  readonly killed: Readonly<Record<string, number>>;
  /** Milliseconds from the kill until all is at work again: median and most, by victim. */
  readonly back_ms: Readonly<Record<string, { median: number; most: number }>>;
  readonly acts: Readonly<Record<string, number>>;
  readonly commands: Readonly<Record<string, number>>;
  readonly facts: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly broken: readonly Broken[];
}

const ENOUGH_BROKEN = 3;
const ACT_EVERY_MS = 150;
const DRAIN_MS = 240_000;
const ANSWERS_WITHIN_MS = 10_000;

/**
 * Kills processes with SIGKILL at random moments while people and phones work, looks at what must always hold after each
 * restart, lets everything come to rest, and looks at the whole story. The seed fixes who dies, what is asked for and how
 * phones behave; when exactly is the machine's.
 */
export async function storm(options: StormOptions): Promise<StormResult> {
  const startedAt = Date.now();
  const dice = new Dice(options.seed);
  const world = await openWorld(options, dice);
  const acts = new Acts(world, dice);
  try {
    await acts.rollouts.found();
    options.say(`${world.witnesses.size} phones are enrolled after ${seconds(startedAt)} s; seed ${options.seed}`);
    acts.start(ACT_EVERY_MS);
    const back = new Map<Victim, number[]>();
    const broken: Broken[] = [];
    let told = 0;
    const endsAt = Date.now() + options.minutes * 60_000;
    for (let n = 0; n < options.kills && broken.length < ENOUGH_BROKEN && Date.now() < endsAt; ) {
      options.signal?.throwIfAborted();
      const since = new Date(Date.now() - 5_000);
      // Something has to be under way, also where everything has just come back.
      const taken = acts.taken.size;
      await until(() => acts.taken.size > taken + 1, 4_000, 20);
      await sleep(dice.below(400));
      // Now and then the next one dies while this one is still coming back.
      const victims = dice.once(5) ? [dice.pick(VICTIMS), dice.pick(VICTIMS)] : [dice.pick(VICTIMS)];
      for (const [victim, ms] of await kill(world, victims, dice)) {
        back.set(victim, [...(back.get(victim) ?? []), ms]);
        n += 1;
      }
      await sleep(dice.below(300));
      for (const one of await lookAgain(world, since)) {
        options.say(`broken: ${JSON.stringify(one)}`);
        broken.push(one);
      }
      if (n >= told + 20) {
        told = n;
        options.say(`${n} killed, ${acts.taken.size} intents taken, ${broken.length} broken`);
      }
    }
    await acts.stop();
    await acts.letEverythingGo();
    world.lean.manners = CALM;
    options.say(`nobody is killed any more after ${seconds(startedAt)} s; everything comes to rest`);
    await rest(world, acts, options.signal);
    broken.push(...(await look(world, new Date(0))), ...(await judge(world, acts)));
    return {
      killed: Object.fromEntries([...back].map(([victim, all]) => [victim, all.length])),
      back_ms: Object.fromEntries([...back].map(([victim, all]) => [victim, spread(all)])),
      ...{ acts: acts.counts, commands: await states(world), facts: await facts(world, acts) },
      ...{ seconds: seconds(startedAt), broken },
    };
  } finally {
    await acts.stop();
    await world.close();
  }
}

const seconds = (from: number): number => Math.round((Date.now() - from) / 1000);

async function kill(world: World, victims: readonly Victim[], dice: Dice): Promise<[Victim, number][]> {
  const struck: { victim: Victim; pid: number; at: number }[] = [];
  for (const victim of new Set(victims)) {
    const pid = strike(world.product, victim, dice);
    if (pid === undefined) continue;
    struck.push({ victim, pid, at: Date.now() });
    if (victim === 'postgres' || victim === 'backend') world.databaseDied.push(Date.now());
    await sleep(dice.below(200));
  }
  const done: [Victim, number][] = [];
  // Nobody else comes back without the database.
  struck.sort((a, b) => Number(b.victim === 'postgres') - Number(a.victim === 'postgres'));
  for (const { victim, pid, at } of struck) {
    await revive(world.product, victim, pid);
    await databaseAnswers(world);
    done.push([victim, Date.now() - at]);
  }
  return done;
}

const databaseAnswers = (world: World) =>
  until(
    () =>
      world.pool.query('select 1').then(
        () => true,
        () => false,
      ),
    180_000,
    20,
  );

/** A connection may still be one of the old server's, and a server that lost a backend recovers first. */
async function lookAgain(world: World, since: Date): Promise<Broken[]> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await look(world, since);
    } catch (error) {
      if (tries > 120) throw error;
      await sleep(500);
    }
  }
}

async function rest(world: World, acts: Acts, signal?: AbortSignal): Promise<void> {
  let hurriedAt = 0;
  const quiet = async () => {
    if (signal?.aborted) return true;
    // A phone must have the time to answer before its renewal is begun anew.
    const again = Date.now() - hurriedAt > ANSWERS_WITHIN_MS;
    if (again) hurriedAt = Date.now();
    await hurry(world, again);
    const { rows } = await world.pool.query<{ n: number }>(
      `select ((select count(*) from fleet.intent where state in ('ready', 'held')) + (select count(*) from fleet.command where done_at is null)
         + (select count(*) from fleet.renewal where state in ('due', 'sent', 'issued') and next_at < 'infinity')
         + (select count(*) from log.event where leaf is null))::int as n`,
    );
    return (await acts.rollouts.over()) && rows[0]!.n === 0;
  };
  await until(() => quiet().catch(() => false), DRAIN_MS, 500);
  // What the scheduled inventory asks for may have come in between.
  await until(() => quiet().catch(() => false), 10_000, 100);
}

function spread(all: readonly number[]): { median: number; most: number } {
  const sorted = [...all].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)]!, most: sorted.at(-1)! };
}

async function states(world: World): Promise<Record<string, number>> {
  const { rows } = await world.pool.query<{ state: string; n: number }>(
    'select state, count(*)::int as n from fleet.command group by 1 order by 2 desc',
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

async function facts(world: World, acts: Acts): Promise<Record<string, number>> {
  const { rows } = await world.pool.query<Record<string, number>>(
    `select (select count(*)::int from fleet.fan_out) as fan_outs, (select count(*)::int from log.event) as events,
       (select count(*)::int from fleet.rollout where state = 'done') as rollouts,
       (select count(*)::int from fleet.renewal where state = 'done') as renewed`,
  );
  const seen = [...world.witnesses.values()].flatMap(({ did }) => [...did.values()]);
  return {
    ...rows[0]!,
    ...{ taken: acts.taken.size, phones: world.witnesses.size },
    carried_out: seen.reduce((sum, { times }) => sum + times, 0),
    carried_out_again: seen.reduce((sum, { times }) => sum + Math.max(0, times - 1), 0),
    answers_lost: seen.reduce((sum, { unanswered }) => sum + unanswered, 0),
  };
}
