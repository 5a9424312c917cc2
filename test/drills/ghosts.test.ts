import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Sealed, uuidv7 } from '#base';
import { type Change, type Leave, penFile, penPublic, readPen, sealWrite } from '#seal';
import { openPool, type Pool } from '#store';
import { checkCertificate } from '../../src/run/certificate.ts';
import { drillD12 } from '../../src/run/drill/d12.ts';
import { onScene, type Scene } from '../../src/run/drill/scene.ts';
import { allOf, type Person, send } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { foundWriters, mustHaveWriters } from '../../src/run/writers.ts';
import { freePorts } from '../flows/product.ts';

const HOUR = 3_600_000;

/** Somebody whose number an admin can read, and the number; decoys are passed over. */
async function readable(admins: readonly Person[], handles: readonly string[]) {
  for (const handle of handles) {
    // A decoy freezes whoever asked for it: the last admin is the one to lose.
    const admin = admins.at(-1)!;
    const { values } = await admin.reveal('number', [handle], 'a usual call');
    if (values[handle] !== undefined) return { handle, number: values[handle], admin };
    if (handles.indexOf(handle) === 0) return readable(admins.slice(0, -1), handles.slice(1));
  }
  return assert.fail('nobody could be read');
}

/** SIGKILL to processes of this product, which the supervisor starts again. */
function kill({ product }: Scene, ...names: ('core' | 'ledger')[]): void {
  for (const name of names) {
    const { pid } = product.process(name);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }
}

/** Until two people have signed and the guards have acted. */
async function approved({ stage }: Scene, path: string, body: object): Promise<void> {
  const asked = await stage.admins[0]!.call('POST', path, body);
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const id = String(asked.body['approval']);
  for (const admin of stage.admins.slice(0, 2)) assert.equal((await admin.approve(id)).status, 200);
  const done = await until(async () => {
    const all = await allOf<{ id: string; state: string }>(stage.admins[0]!, '/api/approvals');
    return all.find((one) => one.id === id)?.state === 'executed';
  }, 20_000);
  assert.ok(done, 'the approval was not executed');
}

const rowOf = async (owner: Pool, subject: string) =>
  (
    await owner.query<{ version: number; row: Buffer }>(
      `select version, row from people.sealed where subject = $1 and field = 'number'`,
      [subject],
    )
  ).rows[0]!;

test('people on a running product: erased, held, looked up and under new locks', async (t) => {
  const portBase = await freePorts();
  await onScene(
    { portBase, phones: 2, people: 12, caps: { perDay: 40 } },
    () => {},
    async (scene) => {
      const { product, stage } = scene;
      const owner = openPool(product.admin, { max: 2 });
      t.after(() => owner.end());
      await t.test(
        'drill D12: erased people are found nowhere, and no key opens what a backup has of them',
        async () => {
          const report = await drillD12(scene);
          assert.deepEqual(
            report.steps.filter((step) => !step.ok),
            [],
          );
          assert.ok(report.steps.length >= 10, 'a drill that tries little proves little');
        },
      );
      const people = (await allOf<{ handle: string; devices: string[] }>(stage.admins[0]!, '/api/people')).sort(
        (a, b) => b.devices.length - a.devices.length,
      );
      const { handle, number, admin } = await readable(
        stage.admins,
        people.slice(2).map((one) => one.handle),
      );

      await t.test('a changed number waits; the old one is read; an administrator turns it away', async () => {
        const key = createPrivateKey(readFileSync(penFile(product.home.state('intake'))));
        const value = new Sealed('+447700900666');
        const label = { subject: handle, field: 'number', version: 2 } as const;
        const written = sealWrite({ keys: product.keys, pen: { writer: 'intake', key }, ...label, value });
        const forged = Buffer.from(written);
        forged[forged.length - 2]! ^= 1;
        for (const outer of [forged, written]) {
          await owner.query(
            'insert into people.arriving (subject, field, version, outer_layer) values ($1, $2, $3, $4)',
            [...[handle, 'number', 2, outer]],
          );
        }
        const waiting = () => stage.admins[0]!.call('GET', '/api/people/changes');
        assert.ok(await until(async () => Number((await waiting()).body['total']) === 1, 10_000));
        const [item] = (await waiting()).body['items'] as { subject: string; until: string }[];
        assert.equal(item!.subject, handle);
        assert.ok(Date.parse(item!.until) > Date.now() + 23 * HOUR);
        assert.deepEqual((await admin.reveal('number', [handle], 'a usual call')).values, { [handle]: number });
        const alert = async () =>
          (await allOf<{ rule: string }>(stage.admins[0]!, '/api/alerts')).some(({ rule }) => rule === 'forged-write');
        assert.ok(await until(alert, 10_000), 'the forged one raised an alert');
        // Whoever owns core and database says that the time is over; the ledger does not think so.
        await owner.query(`update people.arriving set held_until = now() - interval '1 minute' where subject = $1`, [
          handle,
        ]);
        await until(
          async () => Date.parse(((await waiting()).body['items'] as { until: string }[])[0]!.until) > Date.now(),
          5_000,
        );
        assert.deepEqual((await admin.reveal('number', [handle], 'a usual call')).values, { [handle]: number });
        const document: Change = {
          ...{ v: 1, op: 'change', id: uuidv7(), act: 'cancel', ...label, requester: admin.admin },
          ...{ purpose: 'the person was rung', notAfter: Date.now() + 60_000 },
        };
        const body = { document, assertion: admin.touch(document) };
        assert.equal((await send(product.urls.glass, 'POST', '/api/change', body)).status, 200);
        assert.ok(await until(async () => Number((await waiting()).body['total']) === 0, 10_000));
      });

      await t.test('the person sees who looked, once, and the data protection officer with proofs', async () => {
        const offered = await stage.admins[0]!.call('POST', `/api/people/${handle}/sheet`, {});
        const token = new URL(String(offered.body['link'])).hash.slice('#sheet='.length);
        const open = () => send(product.urls.glass, 'POST', '/api/sheet', { token });
        const first = await open();
        assert.equal(first.status, 200, JSON.stringify(first.body));
        const [page] = first.body['pages'] as { entries: { admin: string; field: string; purpose: string }[] }[];
        assert.equal(first.body['handle'], handle);
        assert.ok(page!.entries.length >= 3);
        assert.ok(page!.entries.every((one) => one.field === 'number' && one.purpose === 'a usual call'));
        assert.equal((await open()).status, 410);
        assert.equal((await send(product.urls.glass, 'POST', '/api/sheet', { token: 'A'.repeat(43) })).status, 410);
        const history = await stage.admins[0]!.call('GET', `/api/people/${handle}/history`);
        const whole = history.body['entries'] as { body: object; proof: string[] }[];
        assert.ok(whole.length === page!.entries.length && whole.every((one) => one.proof.length > 0));
        const file = join(scene.scratch, 'sheet.json');
        const saved = { handle, ...history.body };
        writeFileSync(file, JSON.stringify(saved));
        assert.equal(checkCertificate(file, product.keys.log).proven, true);
        writeFileSync(file, JSON.stringify({ ...saved, handle: people[0]!.handle }));
        assert.equal(checkCertificate(file, product.keys.log).proven, false, 'another’s sheet');
        writeFileSync(file, JSON.stringify(saved).replaceAll('a usual call', 'another call'));
        assert.equal(checkCertificate(file, product.keys.log).proven, false, 'another purpose');
      });

      await t.test(
        'two people give everybody a new lock: rows of before do not open any more, those of now do',
        async () => {
          const before = await rowOf(owner, handle);
          await approved(scene, '/api/people/rotation', { purpose: 'a copy of the locks is missing' });
          kill(scene, 'core', 'ledger');
          // The guards open nothing until the ledger is back.
          const back = async () => (await admin.reveal('number', [handle], 'a usual call')).answer.status === 200;
          assert.ok(await until(back, 20_000));
          const last = async () =>
            (await stage.admins[0]!.call('GET', '/api/people/rotation')).body['last'] as {
              doneAt: string | null;
            } | null;
          assert.ok(await until(async () => (await last())?.doneAt != null, 30_000), 'it did not come to its end');
          const after = await rowOf(owner, handle);
          assert.notDeepEqual(after.row, before.row);
          assert.deepEqual((await admin.reveal('number', [handle], 'a usual call')).values, { [handle]: number });
          await owner.query(`update people.sealed set row = $2 where subject = $1 and field = 'number'`, [
            handle,
            before.row,
          ]);
          assert.deepEqual((await admin.reveal('number', [handle], 'a usual call')).values, {});
          const left = await owner.query(`select from log.event where kind = 'locks.left_behind'`);
          assert.equal(left.rows.length, 0);
        },
      );

      await t.test(
        'one touch erases a holder; the phone stays managed, with the handle of somebody who left',
        async () => {
          const holder = people[0]!;
          const document: Leave = {
            ...{ v: 1, op: 'leave', id: uuidv7(), subjects: [holder.handle], requester: admin.admin },
            ...{ purpose: 'has left the agency', notAfter: Date.now() + 60_000 },
          };
          const body = { document, assertion: admin.touch(document) };
          assert.equal((await send(product.urls.glass, 'POST', '/api/leave', body)).status, 200);
          kill(scene, 'core');
          const history = () => stage.admins[0]!.call('GET', `/api/people/${holder.handle}/history`);
          assert.ok(await until(async () => (await history()).body['rowsGoneAt'] !== null, 10_000));
          const [device] = holder.devices;
          const shown = await stage.admins[0]!.call('GET', `/api/devices/${device}`);
          assert.equal((shown.body['device'] as { holder: string }).holder, holder.handle);
          const values = await owner.query(
            `select from people.sealed where subject = $1 and field = 'device-name' and row is not null`,
            [device],
          );
          assert.equal(values.rows.length, 0);
          const done = stage.fleet.numbers().executed.size;
          const intent = { verb: 'DeviceInformation', devices: [device], params: {}, purpose: 'is it still there' };
          assert.equal((await stage.admins[0]!.call('POST', '/api/intents', intent)).status, 200);
          assert.ok(await until(() => stage.fleet.numbers().executed.size > done, 20_000), 'the phone answers');
        },
      );

      await t.test(
        'an installation without writers does not start; founding them is said, safe and repeatable',
        async () => {
          const { writers: _, ...old } = product.keys;
          assert.throws(() => mustHaveWriters(old as typeof product.keys), { code: 'not-founded' });
          await product.process('ledger').stop();
          const again = await foundWriters(product.home);
          assert.deepEqual(again, product.keys.writers, 'the keys that are pinned are kept');
          rmSync(penFile(product.home.state('intake')));
          await assert.rejects(
            foundWriters(product.home),
            { code: 'start-failed' },
            'others are not pinned in their place',
          );
          const renewed = await foundWriters(product.home, 'intake');
          assert.deepEqual([renewed.edge, renewed.glass], [product.keys.writers.edge, product.keys.writers.glass]);
          const pen = readPen(product.home.state('intake'), 'intake', { writers: renewed });
          assert.notEqual(penPublic(pen), product.keys.writers.intake, 'unless somebody says that it was made anew');
        },
      );
    },
  );
});
