import type { Command, Option } from 'commander';
import { program } from '../../src/run/cli.ts';

/** One command as the program itself has it: what its `--help` is made of. */
export interface Help {
  readonly path: readonly string[];
  readonly subcommands: readonly string[];
  readonly options: ReadonlyMap<string, Pick<Option, 'required' | 'optional' | 'mandatory' | 'argChoices'>>;
  /** How many arguments must and may be given. */
  readonly least: number;
  readonly most: number;
}

/** The command with these words; undefined if there is none. */
export function helpOf(path: readonly string[]): Help | undefined {
  let at: Command | undefined = program;
  for (const name of path) at = at?.commands.find((one) => one.name() === name);
  if (at === undefined) return undefined;
  const args = at.registeredArguments;
  return {
    path,
    subcommands: at.commands.map((one) => one.name()),
    options: new Map(at.options.flatMap((one) => (one.long == null ? [] : [[one.long, one] as const]))),
    least: args.filter(({ required }) => required).length,
    most: args.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : args.length,
  };
}

/** All commands, from the program itself down. */
export function allHelp(path: readonly string[] = []): readonly Help[] {
  const help = helpOf(path)!;
  return [help, ...help.subcommands.flatMap((name) => allHelp([...path, name]))];
}
