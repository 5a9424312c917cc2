import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './blocks.ts';
import { allHelp, type Help, helpOf } from './help.ts';
import { wordsOf } from './words.ts';

const scripts = (
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Readonly<Record<string, string>> }
).scripts;

/** Stands for something that the reader fills in. */
const blank = (word: string): boolean => /[…<>|]/.test(word) || /^[A-Z][A-Z-]*$/.test(word);

/**
 * What is wrong with a command that a text tells somebody to give; undefined if it is right. `whole` false: it is only
 * named, so arguments may be missing. Throws for programs that nobody here can judge.
 */
export function faultOf(text: string, whole: boolean): string | undefined {
  const { program, args } = wordsOf(text);
  if (program === 'bartizan') return faultOfBartizan(args, whole);
  if (program === 'npm') return faultOfNpm(args, whole);
  if (program === 'node24' || program === 'node') return undefined;
  throw new Error(`nobody can judge '${program}': run the block, or say why not`);
}

function faultOfNpm(args: readonly string[], whole: boolean): string | undefined {
  const [verb = '', ...rest] = args;
  if (verb === 'ci') return undefined;
  const name = verb === 'run' ? (rest[0] ?? '') : verb;
  const script = scripts[name];
  if (script === undefined) return `package.json has no script '${name}'`;
  const given = (verb === 'run' ? rest.slice(1) : rest).filter((word) => word !== '--');
  const [first = ''] = script.split(' ');
  if (first === 'bin/bartizan') return faultOfBartizan([...wordsOf(script).args, ...given], whole);
  const source =
    name === 'bench' && given[0] !== undefined && !blank(given[0])
      ? `bench/${given[0]}.ts`
      : /\S+\.ts\b/.exec(script)?.[0];
  if (source === undefined) return undefined;
  return given.map((word) => optionIn(source, word)).find((fault) => fault !== undefined);
}

/** These programs have no `--help`; their options stand in their source. */
function optionIn(source: string, word: string): string | undefined {
  if (!word.startsWith('--')) return undefined;
  let text: string;
  try {
    text = readFileSync(join(ROOT, source), 'utf8');
  } catch {
    return `there is no ${source}`;
  }
  const name = word.replace(/^--(no-)?/, '').replace(/=.*/, '');
  return name === 'json' || optionsIn(text).includes(`--${name}`) ? undefined : `${source} has no option ${word}`;
}

/** Options as `parseArgs` is told of them, or as they are looked for. */
const optionsIn = (text: string): readonly string[] => [
  ...[...text.matchAll(/(?:^|\s)'?([a-z-]+)'?: \{ type: /gm)].flatMap(([, name]) => [`--${name}`, `--no-${name}`]),
  ...[...text.matchAll(/'(--[a-z-]+)=?'/g)].map(([, option]) => option!),
];

/** Every option that some program of ours takes. */
export function allOptions(): ReadonlySet<string> {
  const files = execFileSync('git', ['ls-files', 'bench/*.ts', 'test/*.ts', 'src/run/*.ts'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const told = files
    .trim()
    .split('\n')
    .flatMap((file) => optionsIn(readFileSync(join(ROOT, file), 'utf8')));
  return new Set([...told, ...allHelp().flatMap((help) => [...help.options.keys()])]);
}

function faultOfBartizan(args: readonly string[], whole: boolean): string | undefined {
  let help = helpOf([])!;
  let rest = [...args];
  while (help.subcommands.length > 0 && rest[0] !== undefined && !rest[0].startsWith('-') && !blank(rest[0])) {
    // `push install|status`
    const names = rest[0].split('|');
    const missing = names.find((name) => !help.subcommands.includes(name));
    if (missing !== undefined) return `'${nameOf(help)}' has no command '${missing}'`;
    help = helpOf([...help.path, names[0]!])!;
    rest = rest.slice(1);
  }
  const command = nameOf(help);
  const given = { args: 0, options: new Set<string>() };
  for (let at = 0; at < rest.length; at += 1) {
    const [name, inline] = rest[at]!.split('=', 2) as [string, string | undefined];
    if (!name.startsWith('--')) {
      given.args += 1;
      continue;
    }
    if (name === '--help') return undefined;
    const option = help.options.get(name);
    if (option === undefined) return `'${command}' has no option ${name}`;
    given.options.add(name);
    if (!option.required && !option.optional) continue;
    if (inline === undefined) at += 1;
    const value = inline ?? rest[at];
    if (value === undefined && whole) return `${name} of '${command}' takes a value`;
    const wrong = value?.split('|').find((one) => option.argChoices?.includes(one) === false && !blank(one));
    if (wrong !== undefined) return `${name} of '${command}' is one of ${option.argChoices!.join(', ')}, not ${wrong}`;
  }
  if (given.args > help.most) return `'${command}' takes ${help.most} arguments, not ${given.args}`;
  if (!whole) return undefined;
  if (help.subcommands.length > 0) return `'${command}' wants one of ${help.subcommands.join(', ')}`;
  if (given.args < help.least) return `'${command}' wants ${help.least} arguments, not ${given.args}`;
  const left = [...help.options].find(([name, { mandatory }]) => mandatory && !given.options.has(name));
  return left === undefined ? undefined : `'${command}' wants ${left[0]}`;
}

const nameOf = ({ path }: Help): string => ['bartizan', ...path].join(' ');
