import assert from 'node:assert/strict';
import { randomInt, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPool } from '#store';
import { until } from '../../src/run/stage.ts';
import { living } from './product.ts';

const KILLS = 15;
/** Every fourth time it is edge. */
const victimOf = (round: number) => (round % 4 === 3 ? 'edge' : 'core');
const PHONES = 12;

test(`kill -9 of core and edge, ${KILLS} times while certificates are renewed by SCEP and ACME: each device ends with exactly one that counts, the one it holds`, async (t) => {
  const { product, stage } = await living(t, { people: 12, phones: PHONES, admins: 2, pollMs: 700 });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  // Every other device has to bring an ACME identity from its next certificate on.
  await pool.query(`update fleet.enrolment set identity = 'acme' where used_at is not null and device_id % 2 = 0`);
  stage.fleet.start();
  const due = () =>
    pool.query(`update fleet.device set certificate_not_after = now() + interval '50 days'
      where state = 'enrolled' and certificate_not_after > now() + interval '90 days' and id % 3 = ${randomInt(3)}`);
  // Time does not pass here: what would be tried again in a quarter of an hour is tried again now.
  const hurry = () =>
    pool.query(
      `update fleet.renewal set next_at = now() where state = 'due' or (state in ('sent', 'issued') and ${randomInt(4)} = 0)`,
    );
  for (let round = 0; round < KILLS; round += 1) {
    await due();
    await hurry();
    await sleep(randomInt(300, 2_500));
    const victim = victimOf(round);
    process.kill(product.pids()[victim]!, 'SIGKILL');
    await until(() => product.pids()[victim] === undefined, 5_000, 5);
    // At once, instead of after the supervisor's growing pause.
    await product.process(victim).stop();
    product.process(victim).start();
    await until(() => product.pids()[victim] !== undefined, 5_000, 5);
  }
  for (const name of ['core', 'edge'] as const)
    assert.ok(await until(() => product.pids()[name] !== undefined, 40_000), `${name} came back`);
  const open = async () => {
    await hurry();
    const { rows } = await pool.query<{ n: number }>(
      `select (select count(*) from fleet.renewal where state in ('due', 'sent', 'issued'))::int
         + (select count(*) from fleet.command where done_at is null)::int as n`,
    );
    return rows[0]!.n;
  };
  assert.ok(await until(async () => (await open()) === 0, 120_000, 1_000), `${await open()} are still open`);
  const { rows } = await pool.query<{
    udid: string;
    good: number;
    pinned: Buffer;
    renewed: number;
    state: string;
    acme: boolean;
    kind: string;
  }>(
    `select d.udid, d.state, d.certificate_sha256 as pinned, d.id % 2 = 0 as acme, coalesce(d.identity, 'scep') as kind,
       (select count(*)::int from fleet.certificate c where c.device_id = d.id and c.revoked_at is null) as good,
       (select count(*)::int from fleet.certificate c where c.device_id = d.id) - 1 as renewed
     from fleet.device d where d.udid is not null`,
  );
  assert.equal(rows.length, PHONES);
  const held = new Map(
    stage.fleet.phones.map(({ state }) => [
      state.udid,
      new X509Certificate(Buffer.from(state.identity!.certificate, 'base64')).fingerprint256
        .replaceAll(':', '')
        .toLowerCase(),
    ]),
  );
  for (const row of rows) {
    assert.equal(row.state, 'enrolled');
    assert.equal(row.good, 1, 'exactly one certificate counts');
    assert.equal(row.pinned.toString('hex'), held.get(row.udid), 'and it is the one that the phone holds');
    if (row.renewed > 0) assert.equal(row.kind, row.acme ? 'acme' : 'scep', 'asked for as it had to be');
  }
  const renewed = rows.reduce((sum, row) => sum + row.renewed, 0);
  t.diagnostic(`${renewed} certificates issued anew`);
  for (const acme of [true, false])
    assert.ok(
      rows.some((row) => row.acme === acme && row.renewed > 0),
      'both ways were gone',
    );
  assert.ok(renewed >= PHONES / 2, `only ${renewed} were renewed`);
  for (const phone of stage.fleet.phones) await phone.poll();
});
