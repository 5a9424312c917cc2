import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RunError } from './config.ts';
import { defaultHome } from './home.ts';
import { buildPages } from './pages.ts';
import { playApns, type Stage, setStage } from './stage.ts';
import { attack, manageFleet, promises, resultOf, sealedPeople } from './story.ts';
import { type Product, startProduct } from './supervisor.ts';

const PEOPLE = 60;
const PHONES = 200;
/** Sixty people are fewer than the usual daily limit of 100, so the demonstration's organisation sets lower ones. */
const CAPS = { perTouch: 5, perDay: 20 };

export interface DemoOptions {
  readonly home?: string;
  readonly portBase?: number;
  readonly check: boolean;
  readonly reset: boolean;
  readonly phones?: number;
}

/** `bartizan demo`: the product, an invented directory, simulated phones, and the attack. Returns the exit status. */
export async function demo(options: DemoOptions): Promise<number> {
  const home = options.home ?? `${defaultHome()}${options.check ? '-check' : ''}`;
  if (options.reset || options.check) reset(home);
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const startedAt = Date.now();
  await buildPages();
  const apns = await playApns();
  const product = await startProduct({
    home,
    push: apns.push,
    founders: 4,
    caps: CAPS,
    demo: true,
    org: 'example-agency',
    ...(options.portBase === undefined ? {} : { portBase: options.portBase }),
  });
  try {
    const usable = ((Date.now() - startedAt) / 1000).toFixed(1);
    say(
      `Bartizan runs, level ${product.level}${product.level === 'L0' ? ' (all processes share one user: the walls are cryptography only)' : ''}; console usable after ${usable} s.`,
    );
    const stage = await setStage(product, {
      people: PEOPLE,
      phones: options.phones ?? PHONES,
      admins: 3,
      // Pushes wake them; now and then a phone looks by itself.
      pollMs: 30_000,
      push: apns.service,
    });
    try {
      return await (options.check ? check(product, stage, say) : interact(product, stage, say));
    } finally {
      await stage.close();
    }
  } finally {
    await product.stop();
    await apns.service.close();
    if (options.check) reset(home);
  }
}

/** Deletes an installation. Only a directory that looks like one. */
function reset(home: string): void {
  if (!existsSync(home)) return;
  if (!existsSync(join(home, 'supervisor'))) {
    throw new RunError('usage', `${home} is not an installation of Bartizan, so it is not deleted.`);
  }
  rmSync(home, { recursive: true, force: true });
}

async function check(product: Product, stage: Stage, say: (line: string) => void): Promise<number> {
  stage.fleet.start();
  const acknowledged = await manageFleet(stage);
  const sealed = await sealedPeople(stage);
  say(`${stage.fleet.numbers().enrolled} phones enrolled, ${acknowledged} commands answered, ${sealed} people sealed.`);
  const attacked = await attack(product, stage, say);
  const result = resultOf(stage, { acknowledged, sealed }, attacked, CAPS.perDay);
  const kept = promises(result, attacked, stage);
  for (const { promise } of kept.filter((one) => !one.kept)) say(`BROKEN: ${promise}`);
  if (attacked.edge.read.length > 0) say(`edge attack read through: ${attacked.edge.read.join(', ')}`);
  say(JSON.stringify(result));
  return kept.every((one) => one.kept) ? 0 : 1;
}

/** Shows where to click and what to try; ends with Ctrl-C. At most twelve lines in all, the last is the URL. */
async function interact(product: Product, stage: Stage, say: (line: string) => void): Promise<number> {
  stage.fleet.start();
  const free = product.founders[3];
  say(
    `${stage.fleet.numbers().enrolled} simulated phones (real protocol) and ${stage.people} invented people; three admins have software passkeys.`,
  );
  if (free !== undefined) say(`1. Become an admin with your own passkey: ${free.link}`);
  say('2. Sign in to the console with it. Names are shown on glass only, one touch at a time.');
  say('3. Attack it: type attack and press Enter (runs inside edge, steals an admin, steals the files).');
  say('Stop with Ctrl-C; the data is kept. Start anew: npm run demo -- --reset');
  say(product.urls.console);
  void manageFleet(stage).catch(() => {});
  const lines = createInterface({ input: process.stdin });
  let attacked = false;
  lines.on('line', (line) => {
    if (line.trim() !== 'attack' || attacked) return;
    attacked = true;
    attack(product, stage, say)
      .then((outcome) => say(`The incident is open: ${product.urls.console}/incidents/${outcome.exposure.incident}`))
      .catch((error: unknown) =>
        say(error instanceof RunError ? error.message : 'The attack could not be carried out to its end.'),
      );
  });
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  lines.close();
  say('Stopping…');
  return 0;
}
