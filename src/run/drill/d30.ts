import { uuidv7 } from '#base';
import { BREAK_GLASS_BUDGET, type BreakGlass, CUSTODIANS, type QuorumCaps, SEALED_KEYS, type Signable } from '#seal';
import { openPool } from '#store';
import { Person, send } from '../person.ts';
import { must, until } from '../stage.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';

interface View {
  readonly version: number;
  readonly caps: QuorumCaps;
  readonly breakGlass: {
    readonly state: string;
    readonly until: string | null;
    readonly left: number;
    readonly reviewed: boolean;
  };
  readonly findings: readonly { readonly title: string }[];
}

/**
 * D30, break-glass used improperly and properly: too few custodians, a key alone, a drill that is turned into an opening, a
 * second use; then one hour, a small budget, no right over the roster, an alarm, a review, and a new pair. That the hour ends
 * whatever the clock says is tried in the guards themselves (test/spec/guards/break-glass.test.ts).
 */
export async function drillD30({
  product,
  stage,
  tell,
}: Pick<Scene, 'product' | 'stage' | 'tell'>): Promise<DrillReport> {
  const steps = new Steps(tell);
  const pool = openPool(product.admin, { max: 2, name: 'observer' });
  const [ada, bo] = stage.admins as [Person, Person];
  const glass = product.urls.glass;
  try {
    for (const one of [ada, bo]) await one.signIn();
    const view = async () => (await ada.call('GET', '/api/roster')).body as unknown as View;
    const quorum = async (change: object) => {
      const asked = await ada.call('POST', '/api/roster/changes', { change, purpose: 'a break-glass drill' });
      must(asked, 200, 'the change could not be asked for');
      for (const one of [ada, bo]) await one.approve(String(asked.body['approval']));
      return asked.body['links'] as { admin: string; link: string }[];
    };
    const register = async () => {
      const links = await quorum({ act: 'break-glass' });
      const keys: Person[] = [];
      for (const { admin, link } of links) {
        const person = new Person(product.urls, admin);
        must(await person.join(new URLSearchParams(new URL(link).hash.slice(1)).get('join')!), 200, 'a sealed key');
        keys.push(person);
      }
      return keys;
    };
    const opening = (drill: boolean, purpose = 'a break-glass drill'): BreakGlass => ({
      ...{ v: 1, op: 'break-glass', id: uuidv7(), drill, purpose, notAfter: Date.now() + 5 * 60_000 },
    });
    const hand = async (document: BreakGlass, keys: readonly Person[]) =>
      (await send(glass, 'POST', '/api/break-glass', { document, assertions: keys.map((key) => key.touch(document)) }))
        .status;
    const signed = (document: Signable, keys: readonly Person[]) => keys.map((key) => key.touch(document));

    const [key, other, one, two] = (await register()) as [Person, Person, Person, Person];
    steps.add(
      'keys and custodians that are registered',
      SEALED_KEYS.length + CUSTODIANS.length,
      (await view()).breakGlass.state === 'sealed' ? 5 : 0,
    );
    // Handles of nobody: the guards charge and record them like any other, and no decoy is among them.
    const nobody = (n: number) => `amber-otter-${9_000 + n}`;
    const read = async (who: Person, from: number, count: number) => {
      const handles = Array.from({ length: count }, (_, i) => nobody(from + i));
      return (await who.reveal('number', handles, 'a break-glass drill')).answer.status;
    };
    steps.add('values that a sealed key reads by itself', 403, await read(key, 0, 1));
    steps.add('opened with one custodian', false, (await hand(opening(false), [key, one, one])) < 300);
    steps.add('opened with two keys and one custodian', false, (await hand(opening(false), [key, other, one])) < 300);
    steps.add(
      'opened by administrators in the custodians’ place',
      false,
      (await hand(opening(false), [key, ada, bo])) < 300,
    );
    const rehearsed = opening(true);
    steps.add('a drill with key and custodians is accepted', 200, await hand(rehearsed, [key, one, two]));
    const turned = { document: { ...rehearsed, drill: false }, assertions: signed(rehearsed, [key, one, two]) };
    steps.add(
      'a drill turned into an opening',
      false,
      (await send(glass, 'POST', '/api/break-glass', turned)).status < 300,
    );
    steps.add('values that a drilled key reads', 403, await read(key, 0, 1));

    const since = new Date();
    const used = opening(false, 'every administrator is away');
    steps.add('opened with a key and two custodians', 200, await hand(used, [key, one, two]));
    const alerted = async () =>
      (
        await pool.query<{ ms: number; level: string }>(
          `select (extract(epoch from created_at - $1::timestamptz) * 1000)::int as ms, level from watch.alert
           where rule = 'break-glass-opened' and created_at >= $1 order by created_at limit 1`,
          [since],
        )
      ).rows[0];
    await until(async () => (await alerted()) !== undefined, 15_000, 50);
    const alarm = await alerted();
    steps.add('level of the alarm', 'critical', alarm?.level ?? 'none');
    steps.atMost('milliseconds until everybody is told', 10_000, alarm?.ms ?? null);
    const open = await view();
    steps.atMost('milliseconds that it stays open', 3_600_000, Date.parse(open.breakGlass.until ?? '') - Date.now());
    let count = 0;
    for (let from = 0; from < 30; from += 5) count += (await read(key, from, 5)) === 200 ? 5 : 0;
    // A day's limit that is lower than the budget holds too.
    const budget = Math.floor(Math.min(BREAK_GLASS_BUDGET, open.caps.perDay) / 5) * 5;
    steps.add('values read with the open key', budget, count);
    steps.add('values that the other key reads', 403, await read(other, 0, 1));
    const before = (await view()).version;
    const asked = await ada.call('POST', '/api/roster/changes', {
      ...{ change: { act: 'threshold', threshold: 2 }, purpose: 'a break-glass drill' },
    });
    await key.approve(String(asked.body['approval']));
    await ada.approve(String(asked.body['approval']));
    steps.add('changes of the roster that an open key signed', 0, (await view()).version - before);
    steps.add('opened a second time, with the other key', false, (await hand(opening(false), [other, one, two])) < 300);

    const red = (await view()).findings.map(({ title }) => title).join();
    steps.add('the posture asks for the review', true, /not reviewed/.test(red));
    await register();
    await quorum({ act: 'review', opening: used.id, verdict: 'proper' });
    const after = await view();
    steps.add(
      'a new pair is sealed and the opening reviewed',
      'sealed true',
      `${after.breakGlass.state} ${after.breakGlass.reviewed}`,
    );
    const kinds = async () =>
      (
        await pool.query<{ kind: string }>(
          `select distinct kind from log.event where kind like 'breakglass.%' and time >= $1::timestamptz - interval '5 minutes'
           order by kind`,
          [since],
        )
      ).rows
        .map(({ kind }) => kind.replace('breakglass.', ''))
        .join(' ');
    const all = 'drilled opened registered reviewed';
    await until(async () => (await kinds()) === all, 10_000);
    steps.add('what the log has of it', all, await kinds());
    return {
      ok: steps.ok,
      steps: steps.all,
      detectedMs: alarm?.ms ?? null,
      evidence: { opening: used.id, values: count },
    };
  } finally {
    await pool.end();
  }
}
