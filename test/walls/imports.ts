import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** Source files by path from the repository's root, with `/`. */
export type Sources = ReadonlyMap<string, string>;

/** The form of rooms.json. */
export interface Rooms {
  readonly rooms: Readonly<Record<string, readonly string[]>>;
  readonly guardDoor: { readonly door: string; readonly onlyFor: readonly string[] };
  /** The one package that a guard may load: at run time, in this file alone, and only these files of it (SHA-256). */
  readonly guardPackage: {
    readonly package: string;
    readonly only: string;
    readonly files: Readonly<Record<string, string>>;
  };
  readonly packages: Readonly<Record<string, readonly string[]>>;
  /** A program of its own: its folder, and the parts of Node that it may load; nothing of ours and no package. */
  readonly verifier: { readonly folder: string; readonly may: readonly string[] };
  readonly processes: Readonly<Record<string, readonly string[]>>;
  /** The few files of ours that the browser's pages may import: shapes, and the form that both sides hash. */
  readonly pages: readonly string[];
}

interface Import {
  readonly what: string;
  /** Erased before the program runs: counts for the picture of the rooms, loads nothing. */
  readonly typeOnly: boolean;
  /** Loaded when the program comes to it, if it does. */
  readonly late: boolean;
}

/** These rooms compute and do nothing else. */
const PURE = ['base', 'wire', 'proof'];
const OUTSIDE =
  /^node:(fs|net|http|https|http2|tls|dgram|dns|child_process|cluster|worker_threads|inspector|repl|vm|sqlite)\b/;

export function readSources(root: string, dirs: readonly string[] = ['src', 'sim', 'web/src', 'verify']): Sources {
  const found = new Map<string, string>();
  for (const dir of dirs.filter((one) => existsSync(join(root, one))))
    for (const path of readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' }))
      if (/\.(ts|tsx)$/.test(path)) {
        const name = `${dir}/${path.replaceAll('\\', '/')}`;
        found.set(name, readFileSync(join(root, name), 'utf8'));
      }
  return found;
}

function importsOf(text: string): Import[] {
  const found: Import[] = [];
  for (const [, type, what] of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\bfrom\s+)?'([^']+)'/gm))
    found.push({ what: what!, typeOnly: type !== undefined, late: false });
  for (const [, what] of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g))
    found.push({ what: what!, typeOnly: false, late: true });
  return found;
}

/** Ways to load code that no list of imports shows. */
const HIDDEN =
  /\bcreateRequire\b|\brequire\s*\(|\bimport\(\s*(?!['"\s])|\bprocess\.(binding|dlopen|getBuiltinModule)\b/;

const roomOf = (path: string): string | undefined => /^src\/([^/]+)\//.exec(path)?.[1] ?? /^(sim)\//.exec(path)?.[1];
const isTest = (path: string) => /\.test\.tsx?$/.test(path) || path === 'src/store/test-database.ts';
const packageOf = (what: string) =>
  what
    .split('/')
    .slice(0, what.startsWith('@') ? 2 : 1)
    .join('/');
const resolved = (path: string, what: string) => posix.normalize(posix.join(posix.dirname(path), what));

const pageMay = (path: string, rooms: Rooms) => path.startsWith('web/') || rooms.pages.includes(path);

/** Every import of the verifier that is not its own folder's or the few parts of Node, in words. */
export function verifierBreaches(sources: Sources, { folder, may }: Rooms['verifier']): string[] {
  const breaches: string[] = [];
  for (const [path, text] of sources) {
    if (!path.startsWith(`${folder}/`) || isTest(path)) continue;
    if (HIDDEN.test(text)) breaches.push(`${path}: loads code in a way that cannot be followed`);
    for (const { what } of importsOf(text)) {
      const within = what.startsWith('.') && resolved(path, what).startsWith(`${folder}/`);
      if (!within && !may.includes(what)) breaches.push(`${path}: imports ${what}`);
    }
  }
  return breaches;
}

/** Every import that the rooms do not allow, in words. */
export function importBreaches(sources: Sources, rooms: Rooms): string[] {
  const breaches: string[] = [];
  for (const [path, text] of sources) {
    if (isTest(path) || path.startsWith(`${rooms.verifier.folder}/`)) continue;
    const say = (what: string) => breaches.push(`${path}: ${what}`);
    if (path.startsWith('web/')) {
      for (const { what } of importsOf(text))
        if (what.startsWith('#') || (what.startsWith('.') && !pageMay(resolved(path, what), rooms)))
          say(`a page imports ${what}`);
      continue;
    }
    const room = roomOf(path);
    if (room === undefined || rooms.rooms[room] === undefined) {
      say('is in no room');
      continue;
    }
    // The attacker of the drill may try what he likes; no process of the product loads him.
    if (room !== 'run' && !path.startsWith('sim/attackers/') && HIDDEN.test(text))
      say('loads code in a way that cannot be followed');
    const { guardPackage } = rooms;
    for (const { what, late } of importsOf(text)) {
      if (what.startsWith('.')) {
        const home = room === 'sim' ? 'sim/' : `src/${room}/`;
        if (!resolved(path, what).startsWith(home)) say(`reaches out of its room to ${what}`);
      } else if (what.startsWith('#')) {
        const door = what.slice(1);
        const guard = door === rooms.guardDoor.door;
        if (guard && !rooms.guardDoor.onlyFor.includes(path.slice('src/'.length))) say('opens the guards’ door');
        else if (!rooms.rooms[room]?.includes(door)) say(`room ${room} may not import ${what}`);
      } else if (what.startsWith('node:')) {
        if (PURE.includes(room) && OUTSIDE.test(what)) say(`room ${room} does no input or output, but imports ${what}`);
      } else if (!rooms.packages[room]?.includes(packageOf(what))) {
        say(`room ${room} may not load the package ${packageOf(what)}`);
      } else if (
        room === 'guard' &&
        (!late || path !== guardPackage.only || packageOf(what) !== guardPackage.package)
      ) {
        say(`a guard loads the package ${packageOf(what)} in another way than rooms.json says`);
      }
    }
  }
  return breaches;
}

/**
 * What a process loads in the end: rooms, npm packages, and packages that a file of it may load while it runs (`late`, as
 * `file package`). Tests and erased imports do not count.
 */
export function closure(
  sources: Sources,
  start: string,
): { rooms: Set<string>; packages: Set<string>; late: Set<string> } {
  const rooms = new Set<string>();
  const packages = new Set<string>();
  const late = new Set<string>();
  const seen = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = sources.get(path);
    if (text === undefined) throw new Error(`${path} is imported but does not exist`);
    const room = roomOf(path);
    if (room !== undefined && room !== 'run') rooms.add(room);
    for (const { what, typeOnly, late: atRunTime } of importsOf(text)) {
      if (typeOnly || what.startsWith('node:')) continue;
      if (what.startsWith('.')) visit(resolved(path, what));
      else if (what.startsWith('#')) visit(what === '#sim' ? 'sim/index.ts' : `src/${what.slice(1)}/index.ts`);
      else if (atRunTime) late.add(`${path} ${packageOf(what)}`);
      else packages.add(packageOf(what));
    }
  };
  visit(start);
  return { rooms, packages, late };
}

/** Rooms and packages that a process loads against rooms.json, in words. */
export function closureBreaches(sources: Sources, rooms: Rooms): string[] {
  const breaches: string[] = [];
  for (const [name, allowed] of Object.entries(rooms.processes)) {
    const loads = closure(sources, `src/run/${name}.ts`);
    for (const room of loads.rooms)
      if (!allowed.includes(room)) breaches.push(`process ${name} loads the room ${room}`);
    if (name !== 'sealer' && name !== 'ledger') continue;
    for (const one of loads.packages) breaches.push(`process ${name} loads the package ${one}`);
    const { only, package: its } = rooms.guardPackage;
    for (const one of loads.late)
      if (one !== `${only} ${its}`) breaches.push(`process ${name} loads while it runs: ${one}`);
  }
  return breaches;
}
