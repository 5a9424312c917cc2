import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inventPeople, peopleCsv } from '#sim';
import { openPool } from '#store';
import { buildPages } from '../src/run/pages.ts';
import { startProduct } from '../src/run/supervisor.ts';
import { launch, Person, screenshotPlace } from '../test/flows/browser-person.ts';
import * as story from '../test/flows/browser-story.ts';
import { freePorts, openDir } from '../test/flows/product.ts';

/** As many invented people as are wanted: ten thousand at a time, each time with other addresses. */
function manyPeople(count: number): string {
  const lines: string[] = [];
  for (let round = 0; lines.length < count; round += 1) {
    const people = inventPeople(Math.min(10_000, count - lines.length), round + 1);
    const [header, ...body] = peopleCsv(
      people.map((one) => ({ ...one, email: one.email.replace('@', `.${round}@`) })),
    ).split('\r\n');
    if (round === 0) lines.push(header!);
    lines.push(...body.filter((line) => line !== ''));
  }
  return `${lines.slice(0, count + 1).join('\r\n')}\r\n`;
}

/** `npm run bench -- import [--people 40000]`: a directory file through a real browser, from choosing it to everybody stored. */
export async function importBench(args: readonly string[], say: (line: string) => void): Promise<object> {
  const { values } = parseArgs({
    args: args.filter((one) => one !== '--json'),
    options: { people: { type: 'string', default: '40000' } },
  });
  const people = Number(values.people);
  await buildPages();
  const home = openDir('btz-bench-import-');
  const product = await startProduct({ home, founders: 2, demo: true, portBase: await freePorts() });
  const pool = openPool(product.admin, { max: 1 });
  const chrome = await launch();
  try {
    const place = { console: product.urls.console, glass: product.urls.glass };
    const { admin, link } = product.founders[0]!;
    const person = await Person.arrive(chrome, admin, Object.values(place), screenshotPlace());
    await story.join(person, link, { look: false });
    const page = await person.open(`${place.glass}/#import`);
    page.setDefaultTimeout(900_000);
    const file = join(home, 'people.csv');
    writeFileSync(file, manyPeople(people));
    await page.getByLabel(/CSV file/).waitFor();
    // The longest time in which the page could not have answered its user.
    await page.evaluate(() => {
      const seen = globalThis as unknown as { longest: number };
      let last = performance.now();
      seen.longest = 0;
      const beat = () => {
        const now = performance.now();
        seen.longest = Math.max(seen.longest, now - last);
        last = now;
        setTimeout(beat, 0);
      };
      beat();
    });
    const timed = async (what: string, work: () => Promise<unknown>): Promise<number> => {
      const from = performance.now();
      await work();
      const seconds = Math.round(performance.now() - from) / 1000;
      say(`${what}: ${seconds} s`);
      return seconds;
    };
    const judge = await timed('read and judged', async () => {
      await page.getByLabel(/CSV file/).setInputFiles(file);
      await page.getByRole('button', { name: 'Touch and seal' }).waitFor();
    });
    const seal = await timed('sealed', async () => {
      await page.getByRole('button', { name: 'Touch and seal' }).click();
      await page.getByRole('button', { name: 'Touch and send' }).waitFor();
    });
    const longest = await page.evaluate(() => (globalThis as unknown as { longest: number }).longest);
    const send = await timed('sent and stored', async () => {
      await page.getByRole('button', { name: 'Touch and send' }).click();
      await page.getByText('are in the directory').waitFor();
    });
    const stored = (await pool.query<{ n: number }>('select count(*)::int as n from people.person')).rows[0]!.n;
    return {
      ...{ people, stored, judge_s: judge, seal_s: seal, send_s: send, total_s: judge + seal + send },
      ...{ seal_people_per_s: Math.round(people / seal), longest_page_pause_ms: Math.round(longest) },
      command: `npm run bench -- import --people ${people} --json`,
    };
  } finally {
    await chrome.close();
    await pool.end();
    await product.stop();
    rmSync(home, { recursive: true, force: true });
  }
}
