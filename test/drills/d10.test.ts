import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { openPool } from '#store';
import { drillD10 } from '../../src/run/drill/d10.ts';
import { onScene, type Scene } from '../../src/run/drill/scene.ts';
import { layBait } from '../../src/run/lay-bait.ts';
import { send } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { freePorts } from '../flows/product.ts';

/** Tries what a thief finds in the bait; each must fail like any other, and be an alarm. */
async function tryBait({ product }: Scene): Promise<void> {
  const text = await layBait(product.home, 'hr_reports');
  const [, dsn, token] = [text, /^dsn=(.*)$/m.exec(text)![1]!, /(btz-scim-\S+)/.exec(text)![1]!];
  const pool = openPool(product.admin, { max: 1 });
  const alarms = async () => Number((await pool.query(`select from watch.alert where rule = 'bait-used'`)).rowCount);
  try {
    const base = Number(new URL(product.urls.console).port);
    const bearer = { authorization: `Bearer ${token}` };
    for (const [what, attempt] of [
      ['database', () => new pg.Client(dsn).connect()],
      [
        'scim',
        () =>
          fetch(`http://127.0.0.1:${base + 3}/scim/v2/Users`, { headers: bearer }).then(({ status }) =>
            Promise.reject(status),
          ),
      ],
      [
        'console',
        () =>
          send(product.urls.console, 'GET', '/api/people', undefined, 'bartizan_session=x', bearer).then(({ status }) =>
            Promise.reject(status),
          ),
      ],
    ] as const) {
      await pool.query('delete from watch.alert where rule = $1', ['bait-used']);
      await assert.rejects(
        attempt,
        (said: unknown) => (said instanceof Error ? /too many connections/.test(said.message) : said === 401),
        what,
      );
      assert.ok(await until(async () => (await alarms()) > 0, 8_000, 50), `${what}: nobody was told`);
    }
    await assert.rejects(layBait(product.home, 'bartizan_core'), /Name a login/);
  } finally {
    await pool.end();
  }
}

test('D10: canaries that are read, listed and rung are alarms within two seconds', async () => {
  const portBase = await freePorts();
  const report = await onScene(
    { portBase, phones: 1, people: 12 },
    () => {},
    async (scene) => {
      await tryBait(scene);
      return drillD10(scene);
    },
  );
  assert.deepEqual(
    report.steps.filter((step) => !step.ok),
    [],
  );
  assert.ok(report.steps.length >= 14);
});
