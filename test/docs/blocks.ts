import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** What an HTML comment before a block says of it; readers do not see it. */
export type Mark =
  | { readonly what: 'run'; readonly except: ReadonlyMap<string, string> }
  | { readonly what: 'not run'; readonly why: string };

/** A fenced block. */
export interface Block {
  readonly file: string;
  /** Of its first line, from 1. */
  readonly line: number;
  readonly language: string;
  readonly mark: Mark | undefined;
  readonly body: string;
}

/** `code` within prose. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface Page {
  readonly file: string;
  readonly blocks: readonly Block[];
  readonly spans: readonly Span[];
  /** Where its links lead. */
  readonly links: readonly Span[];
}

/** All pages of text of the repository. */
export function pages(): readonly Page[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'];
  const files = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n').sort();
  return files.map((file) => readPage(file, readFileSync(join(ROOT, file), 'utf8')));
}

/** Takes a page apart. Throws an Error for a comment before a block that is no mark, and for a block without end. */
export function readPage(file: string, text: string): Page {
  const blocks: Block[] = [];
  const lines = text.split('\n');
  const prose: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^\s*```(\S*)/.exec(lines[at]!);
    if (fence === null) {
      prose.push(lines[at]!);
      continue;
    }
    const end = lines.findIndex((line, n) => n > at && /^\s*```\s*$/.test(line));
    if (end < 0) throw new Error(`${file}:${at + 1} a block without end`);
    const before = lines.slice(0, at).findLast((line) => line.trim() !== '') ?? '';
    const where = `${file}:${at + 1}`;
    blocks.push({
      ...{ file, line: at + 2, language: fence[1]!, mark: readMark(before, where) },
      body: lines.slice(at + 1, end).join('\n'),
    });
    // Spans keep the numbers of their lines.
    prose.push(...Array<string>(end - at + 1).fill(''));
    at = end;
  }
  const rest = prose.join('\n');
  const found = (pattern: RegExp): Span[] =>
    [...rest.matchAll(pattern)].map((match) => ({
      ...{ file, line: rest.slice(0, match.index).split('\n').length },
      text: match[1]!.replace(/\s+/g, ' ').replaceAll('\\|', '|'),
    }));
  return { file, blocks, spans: found(/`([^`]+)`/g), links: found(/\]\(([^)\s]+)\)/g) };
}

/**
 * `<!-- run -->`, `<!-- run, but not: COMMAND (REASON); COMMAND (REASON) -->` or `<!-- not run: REASON -->`.
 */
function readMark(line: string, where: string): Mark | undefined {
  const comment = /^\s*<!--\s*(.*?)\s*-->\s*$/.exec(line)?.[1];
  if (comment === undefined) return undefined;
  if (comment === 'run') return { what: 'run', except: new Map() };
  const why = /^not run: (.{10,})$/.exec(comment)?.[1];
  if (why !== undefined) return { what: 'not run', why };
  const except = /^run, but not: (.+)$/.exec(comment)?.[1];
  if (except !== undefined) {
    const parts = except.split('; ').map((part) => /^(.+?) \((.{10,})\)$/.exec(part));
    if (parts.every((part) => part !== null))
      return { what: 'run', except: new Map(parts.map((part) => [part![1]!, part![2]!])) };
  }
  throw new Error(`${where} the comment before the block is no mark: ${comment}`);
}

/** The commands of a block: comments dropped, continued lines joined, `a && b` taken apart. */
export function commandsIn(body: string): readonly { readonly line: number; readonly text: string }[] {
  const commands: { line: number; text: string }[] = [];
  const lines = body.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = at;
    let text = bare(lines[at]!);
    while (text.endsWith('\\')) {
      at += 1;
      text = `${text.slice(0, -1).trim()} ${bare(lines[at] ?? '')}`;
    }
    for (const one of text.split(' && ')) if (one !== '') commands.push({ line, text: one });
  }
  return commands;
}

/** A line without its prompt and comment. */
function bare(line: string): string {
  const text = line.replace(/^\s*\$ /, '').trim();
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]!;
    if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (char === '#' && (at === 0 || /\s/.test(text[at - 1]!))) return text.slice(0, at).trim();
  }
  return text;
}
