/** One command, taken apart: quotes gone, the marks of optional parts too. */
export interface Words {
  readonly program: string;
  readonly args: readonly string[];
  /** Settings before it, such as `NAME=value`. */
  readonly settings: readonly string[];
}

/** Reads a command as people write it in a text: `[--option VALUE]` may be left out, `…` stands for something. */
export function wordsOf(text: string): Words {
  const words = [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)]
    .map(([, single, double, plain]) => single ?? double ?? plain!)
    .map((word) =>
      /^\[.*\]$/.test(word) ? word.slice(1, -1) : word.replace(/^\[(?=-)/, '').replace(/(?<=\w)\]$/, ''),
    );
  const first = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const [program = '', ...args] = words.slice(first < 0 ? words.length : first);
  return { program: program.replace(/^bin\//, ''), args, settings: first < 0 ? words : words.slice(0, first) };
}
