import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { buildPages } from '../../src/run/pages.ts';
import { type Block, commandsIn, type Page, pages, readPage } from '../docs/blocks.ts';
import { allOptions, faultOf } from '../docs/check.ts';
import { deadLink, missingFile, source } from '../docs/names.ts';
import { Reader } from '../docs/reader.ts';
import { freePorts, openDir } from './product.ts';

// Our texts are held to what they say. A block is run (`<!-- run -->` before it), or its commands are checked against
// `--help` and package.json, or it says why neither (`<!-- not run: … -->`).
const SHELL = ['sh', 'bash', 'console', 'shell'];
const COMMAND = /^\s*(\$ )?((bin\/)?bartizan|npm|node|bin\/node24) /m;
const all = pages();
const blocks = all.flatMap((page) => page.blocks);
const commands = (block: Block) =>
  commandsIn(block.body).map(({ line, text }) => ({ where: `${block.file}:${block.line + line}`, text }));

/** What nobody can judge is a fault too, unless the block is run or says why it is not. */
function judged(block: Block, text: string): string | undefined {
  try {
    return faultOf(text, true);
  } catch (error) {
    return block.mark === undefined ? (error as Error).message : undefined;
  }
}

test('every block with commands is run, checked or says why not; what is checked is right', () => {
  const wrong: string[] = [];
  for (const block of blocks) {
    if (!SHELL.includes(block.language)) {
      if (COMMAND.test(block.body)) wrong.push(`${block.file}:${block.line} commands in a block that is not marked sh`);
      continue;
    }
    for (const { where, text } of commands(block)) {
      const fault = judged(block, text);
      if (fault !== undefined) wrong.push(`${where} ${text}: ${fault}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(blocks.some(({ file, mark }) => file === 'README.md' && mark?.what === 'run'));
});

test('commands and options that sentences name are there', () => {
  const options = allOptions();
  const ours = source('src/');
  const wrong: string[] = [];
  for (const { file, line, text } of all.flatMap((page) => page.spans)) {
    let fault: string | undefined;
    // what is hashed or signed under a name, and options of the processes among themselves
    if (ours.includes(`'${text}'`)) continue;
    if (/^((bin\/)?bartizan [a-z]|npm (run|test|start|ci)\b)/.test(text)) fault = faultOf(text, false);
    else if (/^--[a-z]/.test(text)) {
      const unknown = text.match(/--[a-z-]+/g)!.find((option) => !options.has(option));
      if (unknown !== undefined) fault = `no program has the option ${unknown}`;
    }
    if (fault !== undefined) wrong.push(`${file}:${line} ${text}: ${fault}`);
  }
  assert.deepEqual(wrong, []);
});

test('files that texts name are there, and links lead somewhere', () => {
  const wrong: string[] = [];
  for (const { file, spans, links, blocks: fenced } of all) {
    for (const span of links) if (deadLink(span) !== undefined) wrong.push(`${file}:${span.line} ${span.text}`);
    const shell = fenced.filter(({ language }) => SHELL.includes(language));
    for (const { line, text } of [...spans, ...shell.map(({ line, body }) => ({ line, text: body }))])
      for (const word of text.split(/[\s'"]+/)) {
        const missing = missingFile(word);
        if (missing !== undefined) wrong.push(`${file}:${line} ${missing}`);
      }
  }
  assert.deepEqual(wrong, []);
});

/** `GET /api/x/{y}` and `/api/x/:y` alike, without the names of the parts that vary. */
const route = (path: string) => path.replace(/\?.*$/, '').replace(/\{[^}]*\}|:\w+|<[^>]*>/g, '*');

interface Contract {
  readonly paths: Record<string, Record<string, unknown>>;
}

/** Whether glass, on its own origin, has something at a path: its table of routes is asked, not read. */
const onGlass = (port: number, path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const asked = path.replace(/:id/g, '00000000-0000-4000-8000-000000000000');
    const options = { host: '127.0.0.1', port: port + 1, path: asked, method: 'DELETE' };
    request({ ...options, headers: { host: `glass.localhost:${port + 1}` } }, (response) => {
      response.resume();
      resolve(response.statusCode === 405);
    })
      .once('error', reject)
      .end();
  });

/** Addresses that texts name and neither the console's contract nor glass knows. */
async function unknownRoutes(contract: Contract, port: number): Promise<string[]> {
  const known = new Map(
    Object.entries(contract.paths).map(([path, verbs]) => [route(`/api${path}`), Object.keys(verbs)]),
  );
  const wrong: string[] = [];
  for (const { file, line, text } of all.flatMap((page) => page.spans)) {
    const [, verb, path = ''] = /^(?:(GET|POST|PUT|PATCH|DELETE) )?(\/api\/[^\s`]+)$/.exec(text) ?? [];
    if (path === '' || path === '/api/openapi.json') continue;
    const verbs = known.get(route(path));
    const right =
      verbs === undefined ? await onGlass(port, path) : verb === undefined || verbs.includes(verb.toLowerCase());
    if (!right) wrong.push(`${file}:${line} ${text}`);
  }
  return wrong;
}

/** Files of an instance that texts name: their folder is there, and they are there too or the source knows them. */
function unknownPlaces(home: string, page: Page): string[] {
  const known = source('src/');
  return page.spans.flatMap(({ file, line, text }) => {
    const path = /^<home>\/([\w./<>-]+)$/.exec(text)?.[1]?.replace('<process>', 'core');
    if (path === undefined || existsSync(join(home, path))) return [];
    const name = path.split('/').at(-1)!;
    const stem = name.replace(/\.[a-z]+$/, '');
    const spoken = known.includes(`'${name}'`) || known.includes(`'${stem}'`);
    return existsSync(join(home, dirname(path))) && spoken ? [] : [`${file}:${line} ${text}`];
  });
}

test('a reader who gives the marked commands, as they stand, gets what the texts promise', async (t) => {
  await buildPages();
  const dir = openDir('btz-docs-');
  const reader = new Reader(dir);
  t.after(async () => {
    await reader.leave();
    rmSync(dir, { recursive: true, force: true });
  });
  const port = await freePorts();
  await reader.prepare(port);
  let given = 0;
  const [readme, others] = [
    blocks.filter(({ file }) => file === 'README.md'),
    blocks.filter(({ file }) => file !== 'README.md'),
  ];
  // The README starts the product.
  for (const block of [...readme, ...others]) {
    if (block.mark?.what !== 'run') continue;
    const unused = new Set(block.mark.except.keys());
    for (const { where, text } of commands(block)) {
      const left = [...block.mark.except.keys()].find((one) => text.includes(one));
      if (left !== undefined) {
        unused.delete(left);
        continue;
      }
      const { status, text: said } = await reader.give(text);
      assert.equal(status, 0, `${where} ${text}\n${said}`);
      given += 1;
    }
    assert.deepEqual([...unused], [], `${block.file}:${block.line} leaves out what is not there`);
  }
  assert.ok(given >= 6, `${given} commands were given`);
  assert.equal(reader.greeting.match(/^founder \S+: http/gm)?.length, 3, 'one link a founder');

  const contract = (await (await fetch(`http://localhost:${port}/api/openapi.json`)).json()) as Contract;
  assert.deepEqual(await unknownRoutes(contract, port), []);
  assert.deepEqual(
    all.flatMap((page) => unknownPlaces(reader.home, page)),
    [],
  );
  assert.equal(await reader.stop(), 0, 'SIGTERM stops it cleanly');
});

test('the reading itself: marks, comments, continued lines, and commands that are wrong', () => {
  const page = readPage('x.md', 'see `bartizan no-such`\n\n<!-- run -->\n\n```sh\na \\\n  b # c\n$ d && e\n```\n');
  assert.deepEqual(page.blocks[0]!.mark, { what: 'run', except: new Map() });
  assert.deepEqual(
    commandsIn(page.blocks[0]!.body).map(({ text }) => text),
    ['a b', 'd', 'e'],
  );
  assert.throws(() => readPage('x.md', '<!-- later -->\n```sh\na\n```\n'), /no mark/);
  assert.match(faultOf('bartizan no-such', true) ?? '', /no command 'no-such'/);
  assert.match(faultOf('bin/bartizan push install', true) ?? '', /wants 1 arguments/);
  assert.match(faultOf('bartizan import-fleet fleet.json', true) ?? '', /wants --ca/);
  assert.match(faultOf('bartizan push status --fast', true) ?? '', /no option --fast/);
  assert.match(faultOf('bartizan settings device-plane --legacy keep', true) ?? '', /is one of/);
  assert.match(faultOf('npm run nothing', true) ?? '', /no script/);
  assert.match(faultOf('npm run demo -- --chek', true) ?? '', /no option --chek/);
  assert.match(faultOf('npm run bench -- checkin --slow', true) ?? '', /no option --slow/);
  assert.throws(() => faultOf('rm x', true), /nobody can judge/);
  assert.equal(missingFile('src/no/such.ts'), 'src/no/such.ts');
  assert.equal(missingFile('test/flows/docs.test.ts'), undefined);
  assert.equal(deadLink({ file: 'docs/x.md', line: 1, text: '../NOTHING.md' }), '../NOTHING.md');
});
