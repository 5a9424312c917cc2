import { allOf } from '../person.ts';
import { must, until } from '../stage.ts';
import { sealedPeople } from '../story.ts';
import { decoysOf } from './known-decoys.ts';
import { type DrillReport, Steps } from './report.ts';
import { DRILL_CAPS, type Scene } from './scene.ts';
import { afterwards } from './verdict.ts';

const TRIES = 1_000;
const RULES = ['mass-reveal', 'reading-cap-hit', 'decoy-touched'];

/**
 * D08, a stolen admin session with its passkey asks for the whole directory: 1000 numbers as fast as he can. He gets at most the
 * day's cap, is cut off within 2 s of a rule's firing, nobody else is, and the ledger tells exactly whom he read and why.
 */
export async function drillD08({ product, stage, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  await sealedPeople(stage);
  const thief = stage.admins.at(-1)!;
  const honest = stage.admins[0]!;
  const people = (await allOf<{ handle: string }>(honest, '/api/people')).map(({ handle }) => handle);
  const read = new Set<string>();
  const startedAt = Date.now();
  let answered = 0;
  for (let at = 0; at < TRIES; at += 50) {
    const batch = Array.from({ length: 50 }, (_, i) => people[(at + i) % people.length]!);
    const answers = await Promise.all(batch.map((subject) => thief.reveal('number', [subject], 'calling everybody')));
    for (const { values, answer } of answers) {
      if (answer.status === 200) answered += 1;
      for (const subject of Object.keys(values)) read.add(subject);
    }
  }
  steps.atMost('numbers that 1000 requests read', DRILL_CAPS.perDay!, answered);
  const after = await afterwards(product, startedAt, RULES);
  steps.atMost('milliseconds until the first alert', 10_000, after.alertMs);
  steps.atMost('milliseconds until he was cut off', 10_000, after.containedMs);
  steps.add(
    'his passkey opens nothing any more',
    false,
    (await thief.reveal('name', [people[0]!], 'once more')).answer.status === 200,
  );
  // One decoy under an honest hand would cut that off too, or close the directory.
  const decoys = decoysOf(product.home.dir);
  const unread = people.filter((one) => !read.has(one) && !decoys.has(one));
  const honestly = [];
  for (const [i, admin] of stage.admins.slice(0, -1).entries())
    honestly.push((await admin.reveal('name', [unread[i]!], 'a usual call')).answer);
  const locked = (await afterwards(product, startedAt, RULES)).locked.includes('directory');
  // Two decoys in one haul close the directory for everybody: that is what they are for.
  const usual =
    honestly.some(({ status }) => status === 200) ||
    (locked && honestly.every(({ body }) => body['code'] === 'locked'));
  steps.add(locked ? 'the directory is closed, two decoys were touched' : 'others still read', true, usual);
  if (!usual) tell(`answers: ${honestly.map(({ status, body }) => `${status} ${String(body['code'])}`).join(', ')}`);
  let incident = '';
  await until(async () => {
    const found = await allOf<{ id: string; principal: string | null }>(honest, '/api/incidents');
    incident = found.find(({ principal }) => principal === thief.admin)?.id ?? '';
    return incident !== '';
  }, 15_000);
  const report = await honest.call('POST', `/api/incidents/${incident}/exposure`, {});
  must(report, 200, 'no exposure report');
  const proven = Number(report.body['provenCount']);
  steps.add('everybody whom he read is proven', true, proven >= read.size);
  steps.atMost('people who are proven beyond whom he read', answered + 5 - read.size, proven - read.size);
  return {
    ...{ ok: steps.ok, steps: steps.all, detectedMs: after.alertMs, containedMs: after.containedMs },
    evidence: { asked: TRIES, read: read.size, proven, cap: DRILL_CAPS.perDay },
  };
}
