import assert from 'node:assert/strict';
import { createPrivateKey, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { toBase64url } from '#base';
import { joinedHandle, readIntakeSecrets } from '#intake';
import { markCanary } from '#people';
import { canaryTag, hpkeOpen, sealCall } from '#seal';
import { Hunter } from '#sim';
import { tagOf } from '../../src/intake/secrets.ts';
import { PATCH_OP, type ScimAnswered, ScimStage, USER } from './scim-stage.ts';

// What a stolen token, an owned intake and a stolen database are worth. Everybody here is invented.
const DAY = 24 * 3_600_000;
let stage: ScimStage;
let tokens: string[];
const ids: string[] = [];
const people = Array.from({ length: 12 }, (_, n) => ({
  userName: `quillfeather${n}`,
  externalId: `hr-key-000${n}`,
  given: 'Zephyrine',
  family: `Quackenbush${n}`,
  email: `zq${n}@unseen.example.org`,
  mobile: `+4477009001${String(n).padStart(2, '0')}`,
}));
/** What must be nowhere in the clear. */
const planted = people.flatMap(({ userName, externalId, family, email, mobile }) => [
  ...[userName, externalId, family, email, mobile, mobile.slice(3)],
]);
const hunter = new Hunter(planted);

before(async () => {
  stage = await ScimStage.open({ holdMs: DAY });
  tokens = stage.newTokens('entra', 'hr');
  stage.token = tokens[0]!;
  for (const { userName, externalId, given, family, email, mobile } of people) {
    const answer = await stage.call('POST', '/Users', {
      ...{ schemas: [USER], userName, externalId, name: { givenName: given, familyName: family } },
      ...{ emails: [{ value: email }], phoneNumbers: [{ type: 'mobile', value: mobile }] },
    });
    assert.equal(answer.status, 201, answer.text);
    ids.push(String(answer.body['id']));
  }
  await stage.settle();
});
after(() => stage.close());

const everything = ({ text, headers }: ScimAnswered) => Buffer.from(`${text}\n${[...headers].join('\n')}`);

test('a stolen token reads nothing that was stored, whatever it asks', async () => {
  const id = ids[3]!;
  const filters = [
    ...[
      'userName sw "quill"',
      'userName co "f"',
      'userName pr',
      'userName ne "x"',
      'userName gt "a"',
      'userName eq "*"',
    ],
    ...[
      'emails.value eq "x"',
      'emails[type eq "work"].value sw "z"',
      'phoneNumbers.value co "+44"',
      'name.familyName sw "Q"',
    ],
    ...[
      'userName eq "x" or userName pr',
      'not (userName eq "x")',
      'active eq true',
      'meta.created gt "2020-01-01"',
      '',
      '"',
    ],
    ...[
      'userName eq "x\' or 1=1 --"',
      'userName eq "%"',
      'externalId eq "hr-key-%"',
      'members eq "x"',
      'displayName sw ""',
    ],
  ];
  const paths = [
    ...['/Users', '/Users?count=1000', '/Users?startIndex=1&count=1', '/Users?sortBy=userName&sortOrder=descending'],
    ...['/Users?attributes=userName,emails,phoneNumbers,name', '/Groups', '/Me', '/Schemas', `/Users/${randomUUID()}`],
    ...[`/Users/${id}`, `/Users/${id}?attributes=name,emails,phoneNumbers,userName,externalId`, `/Users/${id}/name`],
    ...[`/Users/${id}?excludedAttributes=id`, '/Users/..%2f..%2fhealthz', '/Users/%00', `/Users/${id}%27`, '/Bulk'],
    ...filters.flatMap((one) => ['Users', 'Groups'].map((kind) => `/${kind}?filter=${encodeURIComponent(one)}`)),
  ];
  let asked = 0;
  const judge = (answer: ScimAnswered, what: string) => {
    asked += 1;
    assert.ok(answer.status < 500 || answer.status === 501, `${what}: ${answer.status}`);
    assert.deepEqual(hunter.search(everything(answer)), [], what);
    if (answer.status === 200) assert.ok(!/"totalResults":[1-9]/.test(answer.text) || what.includes('Schemas'), what);
  };
  for (const path of paths) judge(await stage.call('GET', path), path);
  for (const filter of filters)
    judge(await stage.call('POST', '/Users/.search', { filter, attributes: ['userName', 'name'] }), filter);
  // Changes that change nothing, refusals and headers: an answer never holds what the request did not.
  for (const [method, body, headers] of [
    ['PATCH', { Operations: [{ op: 'replace', value: { active: true } }] }, {}],
    ['PATCH', { Operations: [{ op: 'add', path: 'nickName', value: 'x' }] }, {}],
    ['PATCH', { Operations: [{ op: 'replace', path: 'name.givenName', value: 'x' }] }, {}],
    ['PATCH', { Operations: [{ op: 'copy', from: 'name', path: 'displayName' }] }, {}],
    ['PATCH', { Operations: [{ op: 'test', path: 'name.familyName', value: 'x' }] }, {}],
    ['PATCH', { Operations: [] }, {}],
    ['PUT', { userName: 'x' }, { 'if-match': 'W/"77"' }],
    ['DELETE', undefined, { 'if-match': '"x"' }],
    ['POST', { userName: 'x' }, {}],
    ['GET', undefined, { 'if-none-match': '*' }],
  ] as [string, unknown, Record<string, string>][]) {
    judge(await stage.call(method, `/Users/${id}`, body, headers), `${method} ${JSON.stringify(body)}`);
  }
  assert.ok(asked > 70, `${asked} were asked`);
});

test('who has the token of another source meets nobody of this one', async () => {
  stage.token = tokens[1]!;
  const { userName, externalId } = people[2]!;
  assert.equal((await stage.search(`userName eq "${userName}"`)).body['totalResults'], 0);
  assert.equal((await stage.search(`externalId eq "${externalId}"`)).body['totalResults'], 0);
  for (const method of ['GET', 'DELETE']) assert.equal((await stage.call(method, `/Users/${ids[2]}`)).status, 404);
  assert.equal((await stage.patch(ids[2]!, { op: 'replace', value: { active: false } })).status, 404);
  const group = await stage.call('POST', '/Groups', { displayName: 'x', members: [{ value: ids[2] }] });
  assert.equal(group.status, 400);
  stage.token = tokens[0]!;
  assert.equal((await stage.person(ids[2]!)).left_at, null);
});

test('a number changed by whoever has the token waits a day, and the present one is read until then', async () => {
  const change = { op: 'replace', path: 'phoneNumbers[type eq "mobile"].value', value: '+447700900999' };
  assert.equal((await stage.patch(ids[1]!, change)).status, 200);
  assert.equal(await stage.reads(ids[1]!, 'number'), people[1]!.mobile);
  await stage.nextDay();
  assert.equal(await stage.reads(ids[1]!, 'number'), '+447700900999');
});

test('an owned intake with its keys, its role and a copy of the database opens nothing', async () => {
  // Its role: every function it may call, with what it knows.
  const { rows: functions } = await stage.admin.query<{ call: string; name: string }>(
    `select p.proname as name, format('select * from %I.%I(%s)', n.nspname, p.proname, (select string_agg('$' || i || '::' ||
       format_type(t, null), ', ' order by i) from unnest(p.proargtypes) with ordinality x(t, i))) as call
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'people' and has_function_privilege('bartizan_intake', p.oid, 'execute') and p.prorettype <> 'trigger'::regtype`,
  );
  assert.ok(functions.length >= 15, `${functions.length} functions`);
  const handle = await stage.handleOf(ids[0]!);
  const known = ['entra', ids[0], handle, 'user', tagOf(stage.doors.secrets, 'entra', 'user', people[0]!.userName)];
  let answers = '';
  for (const { name, call } of functions) {
    const places = [...call.matchAll(/\$\d+::([a-z ]+(?:\[\])?)/g)].map(([, type]) => type!);
    for (const first of known) {
      const values = places.map((type) =>
        type.endsWith('[]')
          ? []
          : type === 'uuid'
            ? ids[0]
            : type === 'text'
              ? first
              : type === 'bytea'
                ? known[4]
                : type === 'jsonb'
                  ? '{}'
                  : null,
      );
      answers += await stage.intake.query(call, values as unknown[]).then(
        ({ rows }) => JSON.stringify(rows),
        (error: Error) => `${name} ${error.message}`,
      );
    }
  }
  assert.deepEqual(hunter.search(Buffer.from(answers)), [], 'no function gives a value');
  for (const sql of [
    ...[
      'select * from people.sealed',
      'select * from people.joined',
      'select * from people.arriving',
      'select * from people.person',
    ],
    ...["select people.read_rows('name', '{}')", 'select * from log.event', 'update people.joined set gone_at = null'],
  ]) {
    await assert.rejects(stage.intake.query(sql), { code: '42501' }, sql);
  }

  // Its keys, on a stolen copy of every row.
  const { rows } = await stage.admin.query<{ bytes: Buffer }>(
    'select row as bytes from people.sealed union all select outer_layer from people.arriving',
  );
  assert.ok(rows.length >= 30);
  const { box, tags } = stage.doors.secrets;
  for (const { bytes } of rows) {
    for (const info of ['bartizan inner v1', 'bartizan outer v1', 'bartizan import keys v1']) {
      assert.throws(() => hpkeOpen(box, bytes.subarray(0, 224), { info }), { code: 'open-failed' });
    }
  }
  // Tags are of keys alone: with intake's own key a number, a name or an address matches nothing, a key does (SECURITY.md says so).
  const { rows: stored } = await stage.admin.query<{ tag: Buffer }>(
    'select user_tag as tag from people.joined union select external_tag from people.joined',
  );
  const all = new Set(stored.flatMap(({ tag }) => (tag === null ? [] : [tag.toString('hex')])));
  const guess = (kind: 'user' | 'external', text: string) =>
    all.has(tagOf({ tags, box }, 'entra', kind, text).toString('hex'));
  assert.ok(guess('external', people[4]!.externalId));
  for (const { family, given, email, mobile } of people) {
    for (const text of [family, `${given} ${family}`, email, mobile, mobile.slice(1)]) {
      assert.ok(!guess('user', text) && !guess('external', text));
    }
  }
  // Equal keys of two sources look unrelated.
  assert.notDeepEqual(tagOf({ tags, box }, 'entra', 'user', 'x'), tagOf({ tags, box }, 'hr', 'user', 'x'));
  assert.throws(
    () => readIntakeSecrets(stage.dir, undefined),
    { code: 'secrets' },
    'it does not start without its own keys',
  );
  assert.equal(createPrivateKey(box.export({ format: 'pem', type: 'pkcs8' })).asymmetricKeyType, 'x25519');
});

test('no planted value is in the database, its events or what intake tells its operator', async () => {
  await stage.call('GET', `/Users?filter=${encodeURIComponent(`userName eq "${people[5]!.userName}"`)}`);
  await stage.call(
    'PATCH',
    `/Users/${ids[5]}`,
    `{"Operations":[{"op":"replace","value":{"userName":"${people[6]!.userName}"}}]}`,
  );
  const { rows: tables } = await stage.admin.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^(pg_|information_schema)' and c.relkind in ('r', 'p')`,
  );
  let dump = '';
  for (const { name } of tables) {
    const { rows } = await stage.admin.query<{ row: string }>(`select t::text as row from ${name} t`);
    dump += `${rows.map(({ row }) => row).join('\n')}\n`;
  }
  assert.ok(dump.includes('directory.person_added') && dump.length > 20_000);
  assert.deepEqual(hunter.search(Buffer.from(dump)), []);
  assert.deepEqual(stage.said, [], 'nothing broke, and no address was told');
});

test('a decoy that comes with a person looks like a person, and the ledger knows it', async () => {
  const before = stage.guards.ledger.gate.state.decoys.size;
  stage.decoyNext = true;
  const answer = await stage.call('POST', '/Users', {
    ...{ schemas: [USER], userName: 'withdecoy', externalId: 'wd', name: { givenName: 'A', familyName: 'B' } },
    ...{
      emails: [{ value: 'ab@unseen.example.org' }],
      [`${USER.replace('core', 'extension:enterprise')}`]: { department: 'Archive' },
    },
  });
  stage.decoyNext = false;
  assert.equal(answer.status, 201);
  assert.equal(stage.guards.ledger.gate.state.decoys.size, before + 1);
  const { rows } = await stage.admin.query<Record<string, unknown>>(
    `select p.unit, p.member_state, p.left_at, j.source, j.active, j.version, j.user_tag is null as u, j.external_tag is null as e,
       (select array_agg(r.field || ' ' || r.version || ' ' || octet_length(r.outer_layer) order by r.field) from people.arriving r
        where r.subject = j.handle) as values
     from people.joined j join people.person p using (handle) order by j.created_at desc, j.id desc limit 2`,
  );
  assert.equal(rows.length, 2);
  assert.deepEqual(rows[0], rows[1]);
  await stage.settle();
});

test('who was erased is not made again by the next synchronisation', async () => {
  const handle = await stage.handleOf(ids[7]!);
  await stage.admin.query('select people.erase($1, $2)', [[handle], randomUUID()]);
  assert.equal((await stage.call('GET', `/Users/${ids[7]}`)).status, 404);
  const { userName, externalId } = people[7]!;
  assert.equal((await stage.search(`externalId eq "${externalId}"`)).body['totalResults'], 0);
  const again = await stage.call('POST', '/Users', { schemas: [USER], userName, externalId });
  assert.deepEqual([again.status, again.body['scimType']], [409, 'uniqueness']);
  const { rows } = await stage.admin.query('select from people.person where handle = $1', [handle]);
  assert.equal(rows.length, 0);
});

test('bad input gets a plain refusal before it costs anything', async () => {
  const post = (body: unknown, headers: Record<string, string> = {}) => stage.call('POST', '/Users', body, headers);
  const cases: [string, unknown, Record<string, string>, number][] = [
    ['too large', `{"userName":"${'x'.repeat(300_000)}"}`, {}, 413],
    ['too deep', `{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`, {}, 400],
    ['not UTF-8', Buffer.from('{"userName":"\xff\xfe"}', 'latin1'), {}, 400],
    ['half a character', '{"userName":"\\ud800"}', {}, 400],
    ['a control character', '{"userName":"a\\u0000b"}', {}, 400],
    ['a text too long', { userName: 'x'.repeat(2_000) }, {}, 400],
    ['another charset', { userName: 'x' }, { 'content-type': 'application/scim+json; charset=utf-16' }, 415],
    ['no JSON type', { userName: 'x' }, { 'content-type': 'text/xml' }, 415],
    ['compressed', gzipSync('{"userName":"x"}'), { 'content-encoding': 'gzip' }, 415],
    ['a list', '[]', {}, 400],
    ['nothing', '', {}, 400],
    ['half', '{"userName":', {}, 400],
    ['a number for a name', { userName: 7 }, {}, 400],
    ['no name', { schemas: [USER] }, {}, 400],
    ['many members', Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`a${n}`, n])), {}, 400],
    [
      'many operations',
      { Operations: Array.from({ length: 200 }, () => ({ op: 'add', path: 'x', value: 1 })) },
      {},
      400,
    ],
  ];
  for (const [what, body, headers, status] of cases) {
    const answer = await post(body, headers);
    assert.equal(answer.status, status, `${what}: ${answer.text.slice(0, 200)}`);
    assert.ok(answer.text.length < 500 && answer.text.includes('messages:2.0:Error'), what);
    assert.doesNotMatch(answer.text, /at .+:\d+|postgres|node:|SyntaxError/);
  }
  const operations = Array.from({ length: 101 }, () => ({ op: 'add', path: 'x', value: 1 }));
  assert.equal(
    (await stage.call('PATCH', `/Users/${ids[0]}`, { schemas: [PATCH_OP], Operations: operations })).status,
    400,
  );
  for (const raw of [
    'GARBAGE\r\n\r\n',
    'GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
  ]) {
    assert.match(await stage.raw(raw), /^(HTTP\/1\.1 4\d\d|$)/);
  }
});

test('nobody without a token that counts is heard; tokens follow each other, end and are revoked', async () => {
  const announced = await stage.raw(
    'POST /scim/v2/Users HTTP/1.1\r\nhost: x\r\ncontent-type: application/scim+json\r\ncontent-length: 200000\r\n\r\n{"userName":',
  );
  assert.match(announced, /^HTTP\/1\.1 401 /, 'refused before the body was there');
  const [present] = tokens;
  for (const header of [
    '',
    'Bearer',
    'Bearer x',
    `Basic ${present}`,
    `Bearer ${present}x`,
    `Bearer ${present!.slice(0, -1)}`,
    `Bearer ${present} x`,
  ]) {
    const answer = await stage.call('GET', '/Users', undefined, { authorization: header });
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Bearer'], header);
  }
  const [first, second, third] = stage.newTokens('entra', 'entra', 'entra');
  const status = async (token: string | undefined) => {
    stage.token = token!;
    return (await stage.call('GET', '/ServiceProviderConfig')).status;
  };
  assert.deepEqual(
    [await status(present), await status(first), await status(second), await status(third)],
    [401, 200, 200, 200],
  );
  assert.equal(
    (await stage.search(`externalId eq "${people[8]!.externalId}"`)).body['totalResults'],
    1,
    'the same source goes on',
  );
  const { readTokens } = await import('#intake');
  const records = readTokens(`${stage.dir}/tokens.json`);
  assert.ok(!JSON.stringify(records).includes(first!.slice(10)), 'only hashes are kept');
  stage.writeTokens([{ ...records[0]!, notAfter: Date.now() - 1 }, records[1]!]);
  assert.deepEqual([await status(first), await status(second), await status(third)], [401, 200, 401]);
  stage.writeTokens([{ ...records[1]!, sha256: 'damaged' }]);
  assert.equal(await status(second), 401, 'a damaged file lets nobody in');
  stage.writeTokens(records);
  stage.token = second!;
  const burst: ScimAnswered[] = [];
  for (let n = 0; n < 4; n += 1) {
    burst.push(...(await Promise.all(Array.from({ length: 100 }, () => stage.call('GET', '/ResourceTypes')))));
  }
  const counted = burst.filter((one) => one.status === 429);
  assert.ok(counted.length > 50, `${counted.length} of 400 were asked to wait`);
  assert.equal(counted[0]!.headers.get('retry-after'), '1');
});

test('somebody invented at the provider becomes a canary that no row tells from the others', async () => {
  stage.token = stage.newTokens('entra')[0]!;
  const [userName, mobile] = ['owlthistle', '+447700900177'];
  const made = await stage.call('POST', '/Users', {
    ...{
      schemas: [USER],
      userName,
      externalId: 'hr-key-0177',
      name: { givenName: 'Zephyrine', familyName: 'Owlthistle' },
    },
    ...{ emails: [{ value: 'ot@unseen.example.org' }], phoneNumbers: [{ type: 'mobile', value: mobile }] },
  });
  assert.equal(made.status, 201, made.text);
  await stage.settle();
  const tables = async () =>
    JSON.stringify(
      (await stage.admin.query('select * from people.joined order by id')).rows.concat(
        (await stage.admin.query('select * from people.person order by handle')).rows,
      ),
    );
  const before = await tables();
  const handle = await joinedHandle(stage.admin, stage.doors.secrets, 'entra', userName);
  await assert.rejects(joinedHandle(stage.admin, stage.doors.secrets, 'hr', userName), /Nobody came/);
  await markCanary(stage.doors, { handle, addresses: ['+44 7700 900177'] });
  assert.equal(await tables(), before);
  assert.ok(stage.guards.ledger.gate.state.decoys.has(handle));
  await assert.rejects(markCanary(stage.doors, { handle, addresses: ['owlthistle'] }), /international form/);
  const box = toBase64url(sealCall(stage.guards.keys.outer, canaryTag(stage.guards.keys.org, mobile)));
  const core = stage.guards.client('ledger', 'core');
  await core.call('called', { how: 'call', box });
  const { entries } = await core.call<{ entries: { kind: string }[] }>('tail', { after: 0, waitMs: 0 });
  assert.equal(entries.filter(({ kind }) => kind === 'canary.called').length, 1);
});
