import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drillD10 } from '../../src/run/drill/d10.ts';
import { onScene } from '../../src/run/drill/scene.ts';
import { freePorts } from '../flows/product.ts';

test('D10: canaries that are read, listed and rung are alarms within two seconds', async () => {
  const portBase = await freePorts();
  const report = await onScene({ portBase, phones: 1, people: 12 }, () => {}, drillD10);
  assert.deepEqual(
    report.steps.filter((step) => !step.ok),
    [],
  );
  assert.ok(report.steps.length >= 14);
});
