import { createHmac } from 'node:crypto';
import { openPool } from '#store';
import { setInbound } from '../cli-decoys.ts';
import { allOf } from '../person.ts';
import { importPeople, until } from '../stage.ts';
import { sealedPeople } from '../story.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';
import { afterwards } from './verdict.ts';

const SECRET = 'the secret of the drill’s provider';
/** The organisation's own, from a range reserved for fiction. */
const NUMBERS = ['+447700900811', '+447700900812', '+447700900813'] as const;
const CSV = [
  'given_name,family_name,email,mobile,unit,member_state',
  `Ottilie,Brandvold,ottilie.brandvold@example.org,${NUMBERS[0]},Unit 1,NL`,
  `Kasimir,Thalberg,kasimir.thalberg@example.org,${NUMBERS[1]},Unit 1,NL`,
  `Elodie,Marquart,elodie.marquart@example.org,${NUMBERS[2]},Unit 1,NL`,
  '',
].join('\n');

/** What the provider of a canary number posts. */
async function inbound(edge: string, to: string, more: { secret?: string; time?: number } = {}): Promise<number> {
  const time = String(Math.floor((more.time ?? Date.now()) / 1000));
  const body = JSON.stringify({ type: 'sms', to, from: '+447700900999', text: 'please call back' });
  const signature = createHmac('sha256', more.secret ?? SECRET)
    .update(`${time}.${body}`)
    .digest('hex');
  const answer = await fetch(`${edge}/hooks/inbound`, {
    ...{ method: 'POST', body },
    headers: { 'content-type': 'application/json', 'x-timestamp': time, 'x-signature': `sha256=${signature}` },
  });
  return answer.status;
}

/**
 * D10, canary persons: decoys with live numbers are among the staff. One is read, a list is read that holds another, and one is
 * rung. Each is an alarm within 2 s; the first freezes its reader, the second closes the directory, and nothing shown to
 * console or core tells who the decoys are.
 */
export async function drillD10({ product, stage, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  setInbound(product.home, JSON.stringify({ secret: SECRET, how: 'type' }));
  const before = product.pids()['edge'];
  if (before !== undefined) process.kill(before, 'SIGTERM');
  const handles = await importPeople(product, CSV, '/canaries');
  await sealedPeople(stage);
  const isUp = async () => (await fetch(`${product.urls.edge}/healthz`).catch(() => undefined))?.status === 200;
  await until(async () => product.pids()['edge'] !== before && (await isUp()), 20_000);
  const pool = openPool(product.admin, { max: 1 });
  const count = async (kind: string) =>
    Number((await pool.query('select from log.event where kind = $1', [kind])).rowCount);
  try {
    const [thief, second, third] = stage.admins;
    const people = await allOf<Record<string, unknown>>(third!, '/api/people');
    const shapes = new Set(people.map((one) => Object.keys(one).sort().join()));
    steps.add('forms in which the list shows people', 1, shapes.size);
    const listed = people.filter(({ handle }) => handles.includes(String(handle)));
    steps.add('canaries in the list', handles.length, listed.length);

    let since = Date.now();
    const read = await thief!.reveal('number', [handles[0]!], 'a usual call');
    steps.add('numbers of a canary that were read', 0, Object.keys(read.values).length);
    const touched = await afterwards(product, since, ['decoy-touched']);
    steps.atMost('milliseconds until the reading was an alarm', 2_000, touched.alertMs);
    steps.add('the reader is frozen', true, touched.locked.includes(`admin:${thief!.admin}`));
    const frozen = await thief!.reveal('name', [String(people[0]!['handle'])], 'still here?');
    steps.add('names that the frozen reader reads', 0, Object.keys(frozen.values).length);

    since = Date.now();
    steps.add('status of a call to a canary', 204, await inbound(product.urls.edge, NUMBERS[1]));
    const called = await afterwards(product, since, ['canary-called'], false);
    steps.atMost('milliseconds until the call was an alarm', 2_000, called.alertMs);
    const calls = await count('canary.called');
    const stale = { time: Date.now() - 3_600_000 };
    steps.add(
      'status of a call with another signature',
      400,
      await inbound(product.urls.edge, NUMBERS[1], { secret: 'x' }),
    );
    steps.add('status of a call of an hour ago', 400, await inbound(product.urls.edge, NUMBERS[1], stale));
    // The same answer, so that nobody learns from it which numbers are canaries.
    steps.add('status of a call to a number that is none', 204, await inbound(product.urls.edge, '+447700900990'));
    await until(async () => (await count('canary.called')) > calls, 1_500);
    steps.add('alarms by these', calls, await count('canary.called'));

    since = Date.now();
    const list = [handles[2]!, ...people.map(({ handle }) => String(handle)).filter((one) => !handles.includes(one))];
    const many = await second!.reveal('number', list.slice(0, 4), 'a list of the unit');
    steps.add('numbers of a list with a canary that were read', 0, Object.keys(many.values).length);
    const isClosed = async () =>
      Number((await pool.query(`select from respond.lock where scope = 'directory' and lifted_at is null`)).rowCount) >
      0;
    await until(isClosed, 2_000, 50);
    steps.add('the second hit closed the directory', true, await isClosed());
    steps.atMost('milliseconds for that', 2_000, Date.now() - since);

    const told = JSON.stringify(
      (await pool.query(`select body from log.event where kind in ('canary.called', 'directory.decoy')`)).rows,
    );
    steps.add('canaries that the alarms name', 0, handles.filter((one) => told.includes(one)).length);
    const closed = await pool.query('select count(*)::int as n from log.event where kind = $1', ['directory.decoy']);
    const evidence = { readings: closed.rows[0]?.n as number, calls, canaries: handles.length };
    return { ok: steps.ok, steps: steps.all, detectedMs: touched.alertMs, containedMs: touched.containedMs, evidence };
  } finally {
    await pool.end();
  }
}
