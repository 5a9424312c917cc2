import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ENTERPRISE, entraUser, GROUP, PATCH_OP, ScimStage, USER } from './scim-stage.ts';

// Requests as Entra and Okta send them, in shapes recorded from their documentation and written by us.
let stage: ScimStage;
before(async () => {
  stage = await ScimStage.open();
});
after(() => stage.close());

const made = async (n: number, more: object = {}): Promise<string> => {
  const answer = await stage.call('POST', '/Users', entraUser(n, more));
  assert.equal(answer.status, 201, answer.text);
  return String(answer.body['id']);
};

test('a person is made, sealed in three values, and found by exact keys alone', async () => {
  const answer = await stage.call('POST', '/Users', entraUser(1));
  assert.equal(answer.status, 201, answer.text);
  const id = String(answer.body['id']);
  assert.equal(answer.headers.get('etag'), 'W/"1"');
  assert.equal(answer.headers.get('location'), `https://scim.example.org/scim/v2/Users/${id}`);
  assert.equal(answer.body['active'], true, 'a string boolean is a boolean');
  assert.equal(answer.body['userName'], 'invented.person1@example.org', 'what was sent is echoed to whoever sent it');
  assert.equal(answer.body['title'], undefined, 'what is not kept is not echoed');

  assert.equal(await stage.reads(id, 'name'), 'Mirela Invented1');
  assert.equal(await stage.reads(id, 'number'), '+447700900001', 'the mobile, as E.164, not the telephone of the desk');
  assert.equal(await stage.reads(id, 'email'), 'invented.person1@example.org');
  const { unit, member_state } = await stage.person(id);
  assert.deepEqual({ unit, member_state }, { unit: 'Registry', member_state: 'GB' });

  const got = await stage.call('GET', `/Users/${id}`);
  assert.deepEqual(Object.keys(got.body).sort(), ['active', 'id', 'meta', 'schemas'], 'nothing stored is read back');
  for (const filter of [
    'userName eq "INVENTED.person1@example.org"',
    'externalId eq "entra-object-1"',
    `id eq "${id}"`,
  ]) {
    const found = await stage.search(filter);
    assert.equal(found.body['totalResults'], 1, filter);
    const [one] = found.body['Resources'] as Record<string, unknown>[];
    assert.equal(one!['id'], id);
    assert.deepEqual(
      Object.keys(one!).filter((name) => !['active', 'id', 'meta', 'schemas', 'userName', 'externalId'].includes(name)),
      [],
    );
  }
  assert.equal((await stage.search('externalId eq "ENTRA-object-1"')).body['totalResults'], 0, 'externalId has case');
});

test('test connections, pages and searches in the body', async () => {
  // Entra's test connection; Okta's
  const random = await stage.search(`userName eq "${randomUUID()}"`);
  assert.deepEqual([random.status, random.body['totalResults']], [200, 0]);
  const listed = await stage.call('GET', '/Users?startIndex=1&count=2');
  assert.deepEqual([listed.status, listed.body['totalResults'], listed.body['Resources']], [200, 0, []]);
  const id = await made(2);
  const filter = 'userName eq "invented.person2@example.org"';
  const none = await stage.call('GET', `/Users?count=0&filter=${encodeURIComponent(filter)}`);
  assert.deepEqual([none.body['totalResults'], none.body['itemsPerPage']], [1, 0]);
  const beyond = await stage.call('GET', `/Users?startIndex=2&filter=${encodeURIComponent(filter)}`);
  assert.deepEqual([beyond.body['totalResults'], beyond.body['Resources']], [1, []]);
  const posted = await stage.call('POST', '/Users/.search', { filter, count: 10 });
  assert.equal((posted.body['Resources'] as { id: string }[])[0]!.id, id);
  for (const path of [
    '/ServiceProviderConfig',
    '/ResourceTypes',
    '/ResourceTypes/User',
    '/Schemas',
    `/Schemas/${USER}`,
  ])
    assert.equal((await stage.call('GET', path)).status, 200, path);
  assert.equal((await stage.call('POST', '/Bulk', {})).status, 501);
});

test('Entra: capital verbs, paths to entries that are not there, value objects, dotted members without a path', async () => {
  const id = await made(3, { phoneNumbers: [], emails: [], name: undefined, displayName: 'Mirela Invented3' });
  assert.equal(await stage.reads(id, 'number'), '', 'who has no number has a row like all others');
  const steps: [string, object[]][] = [
    [
      'add by a path to an absent entry',
      [{ op: 'Add', path: 'emails[type eq "work"].value', value: 'third@example.org' }],
    ],
    ['a number alone', [{ op: 'Replace', path: 'phoneNumbers[type eq "mobile"].value', value: '+44 (0)7700 900003' }]],
    [
      'a URN path with a value object',
      [{ op: 'Replace', path: `${ENTERPRISE}:department`, value: { value: 'Archive' } }],
    ],
    [
      'no path and an object of paths',
      [
        {
          op: 'replace',
          value: {
            'name.givenName': 'Solveig',
            'name.familyName': 'Invented3',
            [`${ENTERPRISE}:department`]: 'Treaties',
            'phoneNumbers[type eq "work"].value': '+44 20 7946 0001',
            'addresses[type eq "work"].country': 'FR',
          },
        },
      ],
    ],
    [
      'unknown attributes',
      [
        { op: 'Add', path: 'addresses[type eq "work"].locality', value: 'X' },
        { op: 'Add', path: 'x[', value: 1 },
      ],
    ],
  ];
  for (const [what, operations] of steps) {
    const answer = await stage.patch(id, ...operations);
    assert.equal(answer.status, 200, `${what}: ${answer.text}`);
    assert.deepEqual(Object.keys(answer.body).sort(), ['active', 'id', 'meta', 'schemas'], what);
  }
  assert.equal(await stage.reads(id, 'email'), 'third@example.org');
  assert.equal(await stage.reads(id, 'number'), '+447700900003');
  assert.equal(await stage.reads(id, 'name'), 'Solveig Invented3');
  const { unit, member_state } = await stage.person(id);
  assert.deepEqual({ unit, member_state }, { unit: 'Treaties', member_state: 'FR' });
  const removed = await stage.patch(id, { op: 'Remove', path: 'phoneNumbers[type eq "mobile"]' });
  assert.equal(removed.status, 200, removed.text);
  assert.equal(await stage.reads(id, 'number'), '');
});

test('half a name is refused, because the other half cannot be read here', async () => {
  const id = await made(4);
  const answer = await stage.patch(id, { op: 'replace', path: 'name.familyName', value: 'Married4' });
  assert.deepEqual([answer.status, answer.body['scimType']], [400, 'invalidValue']);
  assert.ok(!answer.text.includes('Married4'));
  const whole = await stage.patch(
    id,
    { op: 'replace', path: 'name.familyName', value: 'Married4' },
    { op: 'replace', path: 'displayName', value: 'Mirela Married4' },
  );
  assert.equal(whole.status, 200);
  assert.equal(await stage.reads(id, 'name'), 'Mirela Married4');
});

test('soft delete and back, in every spelling of a boolean; a real delete, and no coming back by itself', async () => {
  const id = await made(5);
  for (const [value, active] of [
    ['False', false],
    [true, true],
    [[{ $ref: null, value: 'False' }], false],
    ['true', true],
  ] as const) {
    const answer = await stage.patch(id, { op: 'Replace', path: 'active', value });
    assert.deepEqual([answer.status, answer.body['active']], [200, active], JSON.stringify(value));
    assert.equal((await stage.person(id)).left_at === null, active);
  }
  // Okta's, without a path
  assert.equal((await stage.patch(id, { op: 'replace', value: { active: false } })).body['active'], false);
  assert.equal((await stage.call('DELETE', `/Users/${id}`)).status, 204);
  assert.equal((await stage.call('GET', `/Users/${id}`)).status, 404);
  assert.equal((await stage.search('externalId eq "entra-object-5"')).body['totalResults'], 0);
  const again = await stage.call('POST', '/Users', entraUser(5));
  assert.deepEqual([again.status, again.body['scimType']], [409, 'uniqueness']);
  const namesake = await stage.call('POST', '/Users', entraUser(5, { externalId: 'entra-object-5b' }));
  assert.equal(namesake.status, 201, 'another person may get the name of an account that is gone');
});

test('Okta: looks before it makes, replaces whole, and meets a duplicate', async () => {
  const okta = (n: number, more: object = {}) => ({
    schemas: [USER],
    userName: `okta${n}@example.org`,
    name: { givenName: 'Teodor', familyName: `Okta${n}` },
    emails: [{ primary: true, value: `okta${n}@example.org`, type: 'work' }],
    displayName: `Teodor Okta${n}`,
    locale: 'en-US',
    externalId: `00u${n}`,
    groups: [],
    password: 'x1Yz',
    active: true,
    ...more,
  });
  assert.equal((await stage.search('userName eq "okta1@example.org"')).body['totalResults'], 0);
  const answer = await stage.call('POST', '/Users', okta(1));
  assert.equal(answer.status, 201);
  assert.ok(!answer.text.includes('x1Yz'), 'a password is neither kept nor echoed');
  const id = String(answer.body['id']);
  const twice = await stage.call('POST', '/Users', okta(1, { externalId: '00u-other' }));
  assert.deepEqual([twice.status, twice.body['scimType']], [409, 'uniqueness']);
  const put = await stage.call(
    'PUT',
    `/Users/${id}`,
    okta(1, { id, phoneNumbers: [{ value: 'tel:+44-7700-900011', type: 'mobile' }] }),
  );
  assert.equal(put.status, 200, put.text);
  assert.equal(await stage.reads(id, 'number'), '+447700900011');
  const renamed = await stage.call('PUT', `/Users/${id}`, okta(1, { userName: 'okta-new@example.org' }));
  assert.equal(renamed.status, 200);
  assert.equal(await stage.reads(id, 'number'), '', 'what a PUT does not name is taken away');
  assert.equal((await stage.search('userName eq "okta1@example.org"')).body['totalResults'], 0);
  assert.equal((await stage.search('userName eq "okta-new@example.org"')).body['totalResults'], 1);
});

test('versions: a stale If-Match changes nothing, and repeated pushes only ever make newer values', async () => {
  const id = await made(6);
  const stale = await stage.call(
    'PATCH',
    `/Users/${id}`,
    { Operations: [{ op: 'replace', value: { active: false } }] },
    { 'if-match': 'W/"9"' },
  );
  assert.equal(stale.status, 412);
  assert.equal((await stage.call('GET', `/Users/${id}`, undefined, { 'if-none-match': 'W/"1"' })).status, 304);
  const number = { op: 'replace', path: 'phoneNumbers[type eq "mobile"].value', value: '+447700900006' };
  // a provider that finds nothing in the answer sends the same again and again, and side by side
  const answers = await Promise.all(Array.from({ length: 6 }, () => stage.patch(id, number)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    Array(6).fill(200),
  );
  assert.equal(await stage.reads(id, 'number'), '+447700900006');
  const { rows } = await stage.admin.query('select version from people.sealed where subject = $1 and field = $2', [
    ...[await stage.handleOf(id), 'number'],
  ]);
  assert.equal(Number(rows[0]!['version']), 7);
  let last = 200;
  for (let n = 0; n < 12 && last === 200; n += 1) last = (await stage.patch(id, number)).status;
  assert.equal(last, 429, 'more than can wait is not taken');
});

test('groups: members map to units, whose names are kept as tags until the operator gives one', async () => {
  const [first, second] = [await made(7, { [ENTERPRISE]: undefined }), await made(8, { [ENTERPRISE]: undefined })];
  const answer = await stage.call('POST', '/Groups', {
    ...{ schemas: [GROUP], displayName: 'Directorate of Secrets', externalId: 'g-1' },
    members: [{ value: first }],
  });
  assert.equal(answer.status, 201, answer.text);
  const id = String(answer.body['id']);
  assert.equal((await stage.person(first)).unit, `group-${id.slice(-8)}`);
  const found = await stage.call(
    'GET',
    `/Groups?excludedAttributes=members&filter=${encodeURIComponent('displayName eq "directorate of secrets"')}`,
  );
  assert.equal((found.body['Resources'] as { id: string }[])[0]!.id, id);
  const change = (...operations: object[]) =>
    stage.call('PATCH', `/Groups/${id}`, { schemas: [PATCH_OP], Operations: operations });
  assert.equal((await change({ op: 'Add', path: 'members', value: [{ value: second }] })).status, 200);
  assert.equal((await change({ op: 'Remove', path: `members[value eq "${first}"]` })).status, 200);
  assert.equal((await stage.person(first)).unit, null);
  assert.equal((await stage.person(second)).unit, `group-${id.slice(-8)}`);
  await stage.admin.query('select people.name_group($1, $2)', [id, 'Cabinet']);
  assert.equal((await stage.person(second)).unit, 'Cabinet');
  assert.equal((await change({ op: 'replace', value: { id, displayName: 'Renamed' } })).status, 200);
  assert.equal((await change({ op: 'Add', path: 'members', value: [{ value: randomUUID() }] })).status, 400);
  assert.equal((await change({ op: 'replace', path: 'members', value: [{ value: first }] })).status, 200);
  assert.deepEqual([(await stage.person(first)).unit, (await stage.person(second)).unit], ['Cabinet', null]);
  const { rows } = await stage.admin.query('select * from people.scim_group');
  assert.ok(!JSON.stringify(rows).includes('Directorate'));
  assert.equal((await stage.call('DELETE', `/Groups/${id}`)).status, 204);
  assert.equal((await stage.person(first)).unit, null);
});

test('five spellings of a number are one; landlines and nonsense are refused by code, never by value', async () => {
  const id = await made(9);
  for (const value of [
    '07700 900009',
    '+44 7700 900009',
    '0044 7700 900009',
    '+44 (0) 7700-900.009',
    'tel:+44-7700-900009',
  ]) {
    assert.equal(
      (await stage.patch(id, { op: 'replace', path: 'phoneNumbers[type eq "mobile"].value', value })).status,
      200,
      value,
    );
    assert.equal(await stage.reads(id, 'number'), '+447700900009', value);
  }
  for (const [value, code] of [
    ['+442079460000', 'mobile-landline'],
    ['call me', 'mobile'],
    ['+4477', 'mobile'],
    ['+44 800 123 4567', 'mobile-kind'],
  ] as const) {
    const answer = await stage.patch(id, { op: 'replace', path: 'phoneNumbers', value: [{ type: 'mobile', value }] });
    assert.deepEqual([answer.status, answer.body['scimType']], [400, 'invalidValue'], value);
    assert.ok(String(answer.body['detail']).startsWith(`${code}:`), answer.text);
    assert.ok(!answer.text.includes(value));
  }
  assert.equal(await stage.reads(id, 'number'), '+447700900009', 'a refused change changes nothing');
});

test('nothing broke on the way', () => {
  assert.deepEqual(stage.said, []);
});
