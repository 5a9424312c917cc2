import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { toBase64url } from '#base';
import type { SignIn } from '#seal';
import { newPasskey } from '#sim';
import { openPool, type Pool } from '#store';
import { type Answered, Person, send } from '../person.ts';
import { until } from '../stage.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';

const READS = ['/api/people', '/api/devices', '/api/roster', '/api/overview', '/api/alerts', '/api/session'];
const INTENT = { verb: 'SecurityInfo', devices: ['amber-otter-1001'], params: {}, purpose: 'a takeover drill' };

/**
 * D26, taking over the console: stuffing, a stolen cookie on another computer, replayed and altered requests, forged requests
 * from other sites, fixed sessions, and what pages would have to allow for planted script to run. An outside observer reads
 * the database for what was made and how soon it was noticed.
 */
export async function drillD26({
  product,
  stage,
  tell,
}: Pick<Scene, 'product' | 'stage' | 'tell'>): Promise<DrillReport> {
  const steps = new Steps(tell);
  const pool = openPool(product.admin, { max: 2, name: 'observer' });
  try {
    const victim = stage.admins[0]!;
    const console = product.urls.console;
    await stuff(steps, pool, victim);
    const { detectedMs, containedMs } = await stealCookie(steps, pool, victim);
    await replay(steps, pool, victim);
    await forge(steps, victim);
    await fix(steps, pool, victim);
    await planted(steps, console, product.urls.glass);
    await victim.signIn();
    const { rows } = await pool.query<{ thumbprint: string }>(
      `select body->'unmapped'->>'key' as thumbprint from log.event where kind = 'auth.binding_failed' and actor = $1`,
      [victim.admin],
    );
    const thumbprints = [...new Set(rows.map((row) => row.thumbprint))];
    return { ok: steps.ok, steps: steps.all, detectedMs, containedMs, evidence: { session_keys: thumbprints } };
  } finally {
    await pool.end();
  }
}

const sessionsMade = async (pool: Pool): Promise<number> =>
  (await pool.query<{ n: number }>('select count(*)::int as n from api.session')).rows[0]!.n;

/** Guessing: passkeys of one's own, somebody else's handle, nonsense. */
async function stuff(steps: Steps, pool: Pool, victim: Person): Promise<void> {
  const before = await sessionsMade(pool);
  const since = new Date();
  const thieves = Array.from({ length: 20 }, () => new Person(victim.origins, victim.admin, newPasskey()));
  for (const thief of thieves) await thief.signIn();
  for (const body of [
    { user: victim.admin, password: 'Summer2026' },
    {},
    { document: null, assertion: null, key: '' },
  ]) {
    await send(victim.origins.console, 'POST', '/api/session', body);
  }
  steps.add('sessions from guessing, with 20 foreign passkeys and 3 passwords', 0, (await sessionsMade(pool)) - before);
  const seen = () => alertSince(pool, 'sign-in-refused', since);
  await until(async () => (await seen()) !== null, 15_000);
  steps.atMost('milliseconds until the guessing raises an alert', 10_000, await seen());
}

/** A cookie out of the victim's browser, on a computer that has everything but the key. */
async function stealCookie(steps: Steps, pool: Pool, victim: Person) {
  await victim.signIn();
  const since = new Date();
  const thief = new Person(victim.origins, victim.admin, newPasskey());
  thief.cookie = victim.cookie;
  const answers: Answered[] = [];
  for (const path of READS) answers.push(await thief.call('GET', path));
  answers.push(await thief.call('POST', '/api/intents', INTENT));
  answers.push(
    await thief.call('POST', '/api/admins/invitations', { admin: 'x1', role: 'administrator', purpose: 'hello' }),
  );
  answers.push(await send(victim.origins.console, 'GET', '/api/people', undefined, victim.cookie));
  steps.add('requests that a stolen cookie got an answer to', 0, answers.filter(({ status }) => status === 200).length);
  const detected = () => alertSince(pool, 'stolen-session', since);
  await until(async () => (await detected()) !== null, 15_000);
  const detectedMs = await detected();
  steps.atMost('milliseconds until the stolen cookie raises an alert', 10_000, detectedMs);
  const ended = async () => {
    const { rows } = await pool.query<{ ms: number }>(
      `select (extract(epoch from ended_at - $2::timestamptz) * 1000)::int as ms from api.session
       where admin = $1 and ended_by like 'alert %' and ended_at >= $2 order by ended_at limit 1`,
      [victim.admin, since],
    );
    return rows[0]?.ms ?? null;
  };
  await until(async () => (await ended()) !== null, 20_000);
  const containedMs = await ended();
  steps.atMost('milliseconds until the stolen session is over for everybody', 20_000, containedMs);
  return { detectedMs, containedMs };
}

/**
 * Signs in and acts, anew while containment ends the session in between: what an earlier step of this drill set off ends every
 * session of its victim.
 */
async function whileSignedIn(victim: Person, act: () => Promise<Answered>): Promise<Answered> {
  for (let tries = 0; ; tries += 1) {
    await victim.signIn();
    const answer = await act();
    if (answer.body['code'] !== 'signed-out' || tries === 10) return answer;
    await sleep(300);
  }
}

/** Requests as they went over the wire, once more, and bent to another purpose. */
async function replay(steps: Steps, pool: Pool, victim: Person): Promise<void> {
  const { console } = victim.origins;
  const told = { text: 'a note that was signed once' };
  const notes = '/api/incidents/00000000-0000-4000-8000-000000000000/notes';
  const proof = (method: string, path: string, body?: object, time?: number) => ({
    'x-bartizan-proof': victim.proof(method, path, Buffer.from(body === undefined ? '' : JSON.stringify(body)), time),
  });
  const ask = (method: string, path: string, body: object | undefined, more: Record<string, string>) =>
    send(console, method, path, body, victim.cookie, more);
  let wire: Record<string, string> = {};
  const first = await whileSignedIn(victim, () => {
    wire = proof('POST', notes, told);
    return ask('POST', notes, told, wire);
  });
  // There is no such incident: the answer shows that the request passed the gate of proofs.
  steps.add('the request itself passes the gate of proofs', 404, first.status);
  const bent: [string, string, () => Promise<Answered>][] = [
    ['the same once more', 'not-this-browser', () => ask('POST', notes, told, wire)],
    [
      'another body',
      'not-this-browser',
      () => ask('POST', notes, { text: 'another text' }, proof('POST', notes, told)),
    ],
    ['another address', 'not-this-browser', () => ask('GET', '/api/people', undefined, proof('GET', '/api/overview'))],
    [
      'another method',
      'not-this-browser',
      () => ask('DELETE', '/api/session', undefined, proof('GET', '/api/session')),
    ],
    [
      'one from an hour ago',
      'proof-stale',
      () => ask('GET', '/api/people', undefined, proof('GET', '/api/people', undefined, Date.now() - 3_600_000)),
    ],
    [
      'one from tomorrow',
      'proof-stale',
      () => ask('GET', '/api/people', undefined, proof('GET', '/api/people', undefined, Date.now() + 86_400_000)),
    ],
  ];
  for (const [what, code, act] of bent) {
    const answer = await whileSignedIn(victim, act);
    steps.add(`a proof turned to ${what}`, `401 ${code}`, `${answer.status} ${String(answer.body['code'])}`);
  }
  let served = 0;
  for (let tries = 0; tries < 10 && served === 0; tries += 1) {
    await victim.signIn();
    const one = proof('GET', '/api/overview');
    const all = await Promise.all(Array.from({ length: 40 }, () => ask('GET', '/api/overview', undefined, one)));
    served = all.filter(({ status }) => status === 200).length;
  }
  steps.add('answers to 40 copies of one request at once', 1, served);
  const { rowCount } = await pool.query('select from incident.note where text = $1', ['another text']);
  steps.add('notes written by an altered request', 0, rowCount ?? 0);
}

/** Requests that another site's page would make this browser send. It cannot sign; here the browser is even made to. */
async function forge(steps: Steps, victim: Person): Promise<void> {
  const { console } = victim.origins;
  const from = async (headers: Record<string, string>) => {
    const body = Buffer.from(JSON.stringify(INTENT));
    const answer = await whileSignedIn(victim, () => {
      const proof = { 'x-bartizan-proof': victim.proof('POST', '/api/intents', body) };
      return send(console, 'POST', '/api/intents', INTENT, victim.cookie, { ...proof, ...headers });
    });
    return answer.status;
  };
  const others: [string, Record<string, string>, number][] = [
    ['with another origin', { origin: 'https://evil.example' }, 403],
    ['without our header', { 'x-bartizan': '' }, 403],
    ['that the browser calls cross-site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['as a form sends it', { 'content-type': 'text/plain' }, 415],
    ['under another host’s name', { host: 'evil.example' }, 421],
  ];
  for (const [what, headers, status] of others) steps.add(`a write ${what}`, status, await from(headers));
}

/** Sessions that the attacker prepares for the victim, and sign-ins that he catches on their way. */
async function fix(steps: Steps, pool: Pool, victim: Person): Promise<void> {
  const { console } = victim.origins;
  const thief = new Person(victim.origins, victim.admin, newPasskey());
  const challenge = async (key: string) =>
    (await send(console, 'POST', '/api/session/challenge', { key })).body['document'] as SignIn;
  const post = (body: object, cookie = '') => send(console, 'POST', '/api/session', body, cookie);
  const before = await sessionsMade(pool);
  // The victim signs what the thief asked for with his own key: glass shows the console's name, so this is thinkable.
  const caught = await challenge(victim.sessionKey);
  const touched = { document: caught, assertion: victim.touch(caught) };
  steps.add('a caught sign-in, with the thief’s key', 403, (await post({ ...touched, key: thief.sessionKey })).status);
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsa = toBase64url(publicKey.export({ format: 'der', type: 'spki' })).slice(0, 300);
  steps.add('a sign-in with a key of another kind', true, (await post({ ...touched, key: rsa })).status >= 400);
  steps.add('sessions from sign-ins that were caught', 0, (await sessionsMade(pool)) - before);
  const known = `bartizan_session=${randomBytes(32).toString('base64url')}`;
  const fresh = await challenge(victim.sessionKey);
  const answer = await post({ document: fresh, assertion: victim.touch(fresh), key: victim.sessionKey }, known);
  const given = String(answer.headers['set-cookie']).split(';')[0];
  steps.add('a cookie that was planted before is taken over by the sign-in', false, given === known);
  steps.add(
    'a sign-in used a second time',
    403,
    (await post({ document: fresh, assertion: victim.touch(fresh), key: victim.sessionKey })).status,
  );
  const attributes = String(answer.headers['set-cookie']);
  steps.add(
    'the cookie is out of scripts’ and other sites’ reach',
    true,
    /HttpOnly/i.test(attributes) && /SameSite=Strict/i.test(attributes),
  );
}

/** What a planted script would need of the pages: inline script, foreign script, a frame. None is allowed. */
async function planted(steps: Steps, ...origins: string[]): Promise<void> {
  for (const origin of origins) {
    const { headers } = await send(origin, 'GET', '/');
    const policy = String(headers['content-security-policy']);
    const rules = new Map(policy.split(';').map((part) => [part.trim().split(' ')[0], part.trim()]));
    const scripts = rules.get('script-src') ?? rules.get('default-src') ?? '';
    const where = new URL(origin).hostname;
    steps.add(
      `${where}: script from elsewhere or inline is allowed`,
      false,
      scripts === '' || /unsafe|\*|https?:|data:|blob:/.test(scripts),
    );
    steps.add(
      `${where}: text becomes markup without Trusted Types`,
      false,
      !policy.includes("require-trusted-types-for 'script'"),
    );
    steps.add(
      `${where}: it can be framed by anybody`,
      false,
      !rules.has('frame-ancestors') || /\*/.test(rules.get('frame-ancestors') ?? ''),
    );
    steps.add(`${where}: answers are sniffed for markup`, false, headers['x-content-type-options'] !== 'nosniff');
  }
}

/** Milliseconds from a moment to the first alert of a rule since then, or null. */
async function alertSince(pool: Pool, rule: string, since: Date): Promise<number | null> {
  const { rows } = await pool.query<{ ms: number }>(
    `select (extract(epoch from created_at - $2::timestamptz) * 1000)::int as ms from watch.alert
     where rule = $1 and created_at >= $2 order by created_at limit 1`,
    [rule, since],
  );
  return rows[0]?.ms ?? null;
}
