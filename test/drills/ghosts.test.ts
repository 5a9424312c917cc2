import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drillD12 } from '../../src/run/drill/d12.ts';
import { onScene } from '../../src/run/drill/scene.ts';
import { freePorts } from '../flows/product.ts';

test('drill D12: erased people are found nowhere, and no key opens what a backup has of them', async () => {
  const portBase = await freePorts();
  const report = await onScene({ portBase, phones: 1, people: 12 }, () => {}, drillD12);
  assert.deepEqual(
    report.steps.filter((step) => !step.ok),
    [],
  );
  assert.ok(report.steps.length >= 10, 'a drill that tries little proves little');
});
