import type { Command } from 'commander';
import { RunError } from './config.ts';
import { DRILLS } from './drill/catalogue.ts';
import type { SceneOptions } from './drill/scene.ts';
import { buildPages } from './pages.ts';

const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_000)
    throw new RunError('usage', `'${text}' is not a whole number in range.`);
  return value;
};

/** `bartizan drill list|run|january`. */
export function addDrills(program: Command, say: (line: string) => void): void {
  const drill = program.command('drill').description('attack the real stack and judge it from outside');
  drill
    .command('list')
    .option('--json', 'one JSON object', false)
    .action(({ json }: { json: boolean }) => {
      const all = DRILLS.map(({ id, what }) => ({ id, what }));
      if (json) say(JSON.stringify(all));
      else for (const { id, what } of all) say(`${id.padEnd(8)} ${what}`);
    });
  const run = async (id: string, options: SceneOptions & { json: boolean }) => {
    const chosen = DRILLS.find((one) => one.id.toLowerCase() === id.toLowerCase());
    if (chosen === undefined) throw new RunError('usage', `There is no drill '${id}'. See 'bartizan drill list'.`);
    await buildPages();
    const { portBase, phones, people, json } = options;
    const tell = json ? (line: string) => process.stderr.write(`${line}\n`) : say;
    const result = await chosen.run({ portBase, phones, people }, tell);
    if (json) say(JSON.stringify(result));
    else say(result.passed ? 'passed' : 'FAILED');
    process.exitCode = result.passed ? 0 : 1;
  };
  for (const [name, args] of [
    ['run', '<id>'],
    ['january', ''],
  ] as const) {
    drill
      .command(`${name} ${args}`.trim())
      .option('--json', 'last line is one JSON object', false)
      .option('--port-base <port>', 'first of four ports', number, 8450)
      .option('--phones <n>', 'how many simulated phones', number, 40)
      .option('--people <n>', 'how many invented people', number, 60)
      .action((...given: unknown[]) => {
        const [first, second] = given;
        return args === ''
          ? run('january', first as Parameters<typeof run>[1])
          : run(first as string, second as Parameters<typeof run>[1]);
      });
  }
}
