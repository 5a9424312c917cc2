import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drillD07 } from '../../src/run/drill/d07.ts';
import { drillD08 } from '../../src/run/drill/d08.ts';
import { drillD09 } from '../../src/run/drill/d09.ts';
import { drillD11 } from '../../src/run/drill/d11.ts';
import { drillD27 } from '../../src/run/drill/d27.ts';
import type { DrillReport } from '../../src/run/drill/report.ts';
import { onScene, type Scene } from '../../src/run/drill/scene.ts';
import { freePorts } from '../flows/product.ts';

const root = process.getuid?.() === 0;

test('drills D27, D11, D09, D08 and D07 on one product: nothing is read beyond the caps, and each is noticed', async (t) => {
  const portBase = await freePorts();
  // Each leaves the next one what it needs: the hunt and forged grants change nothing, the thief costs one admin, the copy locks.
  const drills: readonly (readonly [string, (scene: Scene) => Promise<DrillReport>])[] = [
    ['D27', drillD27],
    ['D11', drillD11],
    ['D09', drillD09],
    ['D08', drillD08],
    ['D07', drillD07],
  ];
  await onScene(
    { portBase, phones: 4, people: 60, caps: { perDay: 20 } },
    () => {},
    async (scene) => {
      for (const [id, play] of drills)
        await t.test(
          id,
          { skip: root || id !== 'D11' ? false : 'without root all processes share one user: no walls' },
          async () => {
            const report = await play(scene);
            assert.deepEqual(
              report.steps.filter((step) => !step.ok),
              [],
            );
            assert.ok(report.steps.length >= 5, 'a drill that tries little proves little');
          },
        );
    },
  );
});
