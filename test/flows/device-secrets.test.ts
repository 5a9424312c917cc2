import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256, toBase64url } from '#base';
import type { CommandSet } from '#seal';
import { Hunter } from '#sim';
import { openPool } from '#store';
import { stealFiles } from '../../src/run/drill/stolen-files.ts';
import { allOf, send } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { living } from './product.ts';

test('a passcode is cleared with the device’s own unlock token, which nobody but the device plane ever holds; a place is sealed', async (t) => {
  const { product, stage } = await living(t, { people: 4, phones: 2, admins: 2, founders: 3 });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  stage.fleet.start();
  const [ada, bo] = stage.admins;
  const phone = stage.fleet.phones[0]!;
  const found = (await allOf<{ handle: string; serial: string }>(ada!, '/api/devices')).find(
    ({ serial }) => serial === phone.state.serial,
  );
  const device = found!.handle;
  const order = async (verb: string, args: object = {}) => {
    const purpose = 'the holder cannot open it';
    const answer = await ada!.call('POST', '/api/intents', { verb, devices: [device], params: { args }, purpose });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as { state: string; approval: string | null };
  };
  const commands = async (verb: string) =>
    (
      await pool.query<{ state: string }>(
        'select c.state from fleet.command c join fleet.device d on d.id = c.device_id where d.handle = $1 and c.request_type = $2',
        [device, verb],
      )
    ).rows.map(({ state }) => state);
  const sealed = (field: string) =>
    until(
      async () =>
        (
          await pool.query('select 1 from people.sealed where subject = $1 and field = $2 and row is not null', [
            device,
            field,
          ])
        ).rowCount === 1,
      20_000,
    );
  assert.ok(await sealed('unlock-token'), 'a real unlock token of 1180 bytes is sealed');

  await t.test('without a release the command waits; nobody reads the token', async () => {
    assert.equal((await order('ClearPasscode')).state, 'ready');
    assert.ok(await until(async () => (await commands('ClearPasscode')).length === 1, 10_000));
    await phone.poll();
    assert.deepEqual([await commands('ClearPasscode'), phone.state.passcodeSet], [['queued'], true]);
    const { values, answer } = await ada!.reveal('unlock-token', [device], 'let me see the token');
    assert.notEqual(answer.status, 200, 'the guards show it to no browser');
    assert.deepEqual(values, {});
  });

  await t.test('one touch releases it to this device, once', async () => {
    const answer = await ada!.release('unlock-token', device, 'the holder cannot open it');
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.deepEqual(Object.keys(answer.body), ['receipt'], 'the answer holds no box');
    assert.ok(await until(async () => phone.state.passcodeSet === false, 20_000));
    assert.ok(await until(async () => (await commands('ClearPasscode')).join() === 'acknowledged', 10_000));
    const { rows } = await pool.query('select enc, ct, opened_at is not null as opened from fleet.release');
    assert.deepEqual(rows, [{ enc: null, ct: null, opened: true }]);
    const kinds = (await pool.query<{ kind: string }>('select kind from log.event where device = $1', [device])).rows;
    for (const kind of ['secret.released', 'secret.opened'])
      assert.ok(
        kinds.some((one) => one.kind === kind),
        kind,
      );
  });

  await t.test('a box for another device is put aside with an event, and the command waits on', async () => {
    phone.state.passcodeSet = true;
    await order('ClearPasscode');
    const other = (await allOf<{ handle: string }>(ada!, '/api/devices')).find(
      ({ handle }) => handle !== device,
    )!.handle;
    assert.equal((await ada!.release('unlock-token', other, 'for the other phone')).status, 200);
    await pool.query(
      'update fleet.release set device_id = (select id from fleet.device where handle = $1) where opened_at is null',
      [device],
    );
    const refused = () =>
      pool.query<{ why: string }>(
        `select body->'unmapped'->>'why' as why from log.event where kind = 'secret.refused' and device = $1`,
        [device],
      );
    assert.ok(await until(async () => (await refused()).rows.length > 0, 20_000));
    assert.equal((await refused()).rows[0]!.why, 'another-secret');
    assert.equal(phone.state.passcodeSet, true);
    assert.ok((await commands('ClearPasscode')).includes('queued'));
  });

  await t.test('a place is read in lost mode only, by two people, and stands nowhere in clear', async () => {
    phone.state.extras = { ...phone.state.extras!, place: { latitude: 48.208176, longitude: 16.373819 } };
    const early = await ada!.call('POST', '/api/intents', {
      ...{ verb: 'DeviceLocation', devices: [device], params: {}, purpose: 'to fetch the lost phone' },
    });
    assert.equal(early.status, 409, 'not lost: not located');
    await order('EnableLostMode', { Message: 'This phone is lost. Its place can be read.' });
    assert.ok(await until(async () => phone.state.extras?.lostMode !== null, 20_000));
    assert.equal(phone.state.extras?.lostMode?.footnote, 'The place of this device may be read.');
    assert.ok(await until(async () => (await commands('EnableLostMode')).join() === 'acknowledged', 10_000));
    const asked = await order('DeviceLocation');
    assert.equal(asked.state, 'awaiting-approval');
    for (const who of [ada!, bo!]) assert.equal((await who.approve(asked.approval!)).status, 200);
    assert.ok(await until(async () => (await commands('DeviceLocation')).join() === 'acknowledged', 30_000));
    assert.ok(await sealed('location'));
    const { values } = await bo!.reveal('location', [device], 'to fetch the lost phone');
    assert.match(values[device] ?? '', /^48\.208176, 16\.373819 ±65 m 2026-11-24T20:00:00Z$/);
  });

  const bootstrap = Buffer.from('bootstrap token of a test, long enough to be hunted for').toString('base64');
  await t.test('a bootstrap token is given back after a release, once', async () => {
    const say = (message: Record<string, string | Buffer>) => phone.checkInWith(message);
    await say({ MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.from(bootstrap, 'base64') });
    assert.ok(await sealed('bootstrap-token'));
    assert.equal((await say({ MessageType: 'GetBootstrapToken' })).body.length, 0);
    assert.equal((await ada!.release('bootstrap-token', device, 'the device asks for it')).status, 200);
    const given = await say({ MessageType: 'GetBootstrapToken' });
    assert.ok(given.body.toString().includes(`<data>${bootstrap}</data>`));
    assert.equal((await say({ MessageType: 'GetBootstrapToken' })).body.length, 0, 'once');
  });

  await t.test('a raw command takes two people, who are shown exactly what is sent', async () => {
    const plist = '<plist><dict><key>RequestType</key><string>RequestRebootstrap</string></dict></plist>';
    const asked = await ada!.call('POST', '/api/intents', {
      ...{ verb: 'Raw', devices: [device], params: { plist }, purpose: 'a command of next year' },
    });
    assert.equal(asked.body['state'], 'awaiting-approval', JSON.stringify(asked.body));
    const approval = String(asked.body['approval']);
    const shown = await send(product.urls.glass, 'GET', `/api/approvals/${approval}`);
    const { document, template } = shown.body as unknown as { document: CommandSet; template: string };
    assert.equal(document.verb, 'RequestRebootstrap');
    const { uuid, body } = document.commands[0]!;
    const filled = template.replace('00000000-0000-0000-0000-000000000000', uuid);
    assert.equal(toBase64url(sha256(filled)), body, 'what is shown is what is signed');
    for (const who of [ada!, bo!]) assert.equal((await who.approve(approval)).status, 200);
    assert.ok(await until(async () => (await commands('RequestRebootstrap')).join() === 'unsupported', 30_000));
  });

  await t.test('neither token nor place is in the database, a file or a log', async () => {
    const raw = Buffer.from(phone.state.unlockToken, 'base64');
    const values = [
      phone.state.unlockToken.slice(0, 64),
      phone.state.unlockToken.slice(400, 464),
      raw.toString('hex').slice(0, 64),
      raw.toString('base64url').slice(0, 64),
      ...['48.208176', '16.373819', bootstrap],
    ];
    const verdict = await stealFiles(product, values);
    assert.ok(verdict.searchedBytes > 20_000_000);
    assert.deepEqual(verdict.finds, []);
    const hunter = new Hunter(values);
    const dump = await pool.query<{ all: string }>(
      `select string_agg(x, ' ') as all from (select to_jsonb(c)::text as x from fleet.command c union all
       select to_jsonb(r)::text from fleet.release r union all select to_jsonb(i)::text from fleet.inventory i union all
       select body::text from log.event union all select convert_from(body, 'UTF8') from fleet.command where body is not null) y`,
    );
    assert.ok(dump.rows[0]!.all.includes('ClearPasscode'));
    assert.deepEqual(hunter.search(Buffer.from(dump.rows[0]!.all)), []);
  });
});
