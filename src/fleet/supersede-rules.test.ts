import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONTAINING, commandKey, givesWay, supersedeRule } from './supersede-rules.ts';

interface Wish {
  readonly verb: string;
  readonly key: string;
  readonly nth: number;
}

/** What a device is after it did some commands: the effects that somebody would notice. */
function after(done: readonly Wish[]): Record<string, unknown> {
  const state: Record<string, unknown> = { lost: false, locked: 0, erased: false, restarted: false };
  for (const { verb, key, nth } of done) {
    // A report counts as long as nothing else happens after it.
    delete state['reported'];
    if (verb === 'InstallProfile') state[`profile ${key}`] = nth;
    else if (verb === 'RemoveProfile') delete state[`profile ${key}`];
    else if (verb === 'InstallApplication') state[`app ${key}`] = nth;
    else if (verb === 'RemoveApplication') delete state[`app ${key}`];
    else if (verb === 'EnableLostMode') state['lost'] = true;
    else if (verb === 'DisableLostMode') state['lost'] = false;
    else if (verb === 'DeviceLock') state['locked'] = true;
    else if (verb === 'RestartDevice') state['restarted'] = true;
    else if (verb === 'EraseDevice') return { erased: true };
    else if (verb === 'SecurityInfo') state['reported'] = { ...state };
  }
  return state;
}

const wish = fc.record({
  verb: fc.constantFrom(
    ...['InstallProfile', 'RemoveProfile', 'InstallApplication', 'RemoveApplication', 'EnableLostMode'],
    ...['DisableLostMode', 'DeviceLock', 'RestartDevice', 'EraseDevice', 'SecurityInfo', 'Raw'],
  ),
  key: fc.constantFrom('a', 'b'),
  /** Whether the device came by before this was wanted. */
  fetchedBefore: fc.nat({ max: 3 }),
});

test('superseding never loses the last wish: with it, a device ends as it would have without', () => {
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 14 }), (wishes) => {
      const all: Wish[] = [];
      const done: Wish[] = [];
      let queue: Wish[] = [];
      for (const [nth, { verb, key, fetchedBefore }] of wishes.entries()) {
        done.push(...queue.splice(0, fetchedBefore));
        const keyed = ['InstallProfile', 'RemoveProfile', 'InstallApplication', 'RemoveApplication'].includes(verb);
        const one: Wish = { verb, key: keyed ? key : '', nth };
        all.push(one);
        queue = [...queue.filter((older) => !givesWay(older, one)), one];
      }
      assert.deepEqual(after([...done, ...queue]), after(all));
    }),
    { numRuns: 2_000 },
  );
});

test('of each wish that can be repeated at most one waits', () => {
  for (const verb of ['DeviceInformation', 'SecurityInfo', 'DeviceLock', 'EraseDevice', 'RestartDevice', 'ProfileList'])
    assert.ok(givesWay({ verb, key: '' }, { verb, key: '' }), verb);
  assert.ok(
    !givesWay({ verb: 'DeviceInformation', key: 'x' }, { verb: 'DeviceInformation', key: '' }),
    'another question',
  );
  assert.ok(givesWay({ verb: 'EnableLostMode', key: '' }, { verb: 'DisableLostMode', key: '' }));
  assert.ok(givesWay({ verb: 'InstallProfile', key: 'org.a' }, { verb: 'RemoveProfile', key: 'org.a' }));
  assert.ok(!givesWay({ verb: 'InstallProfile', key: 'org.a' }, { verb: 'RemoveProfile', key: 'org.b' }));
});

test('an erasure ends what would be pointless, but leaves the lock that protects until then', () => {
  assert.ok(givesWay({ verb: 'InstallProfile', key: 'org.a' }, { verb: 'EraseDevice', key: '' }));
  for (const verb of CONTAINING.filter((one) => one !== 'EraseDevice'))
    assert.ok(!givesWay({ verb, key: '' }, { verb: 'EraseDevice', key: '' }), verb);
});

test('a raw command meets nothing', () => assert.deepEqual(supersedeRule('Raw'), { over: [], ends: [] }));

test('keys tell different questions apart and never hold what was asked', () => {
  assert.equal(commandKey({}), '');
  assert.equal(commandKey({ a: 1, b: undefined }), commandKey({ a: 1 }));
  assert.notEqual(commandKey({ a: 1 }), commandKey({ a: 2 }));
  assert.match(commandKey({ message: 'call the desk' }), /^[0-9a-f]{16}$/);
  assert.equal(commandKey({}, 'org.example.wifi'), 'org.example.wifi');
});
