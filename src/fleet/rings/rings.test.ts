import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advance, FIRST, type RingFacts, type RolloutInput, type RolloutState } from './machine.ts';
import { DEFAULT_PLAN, planFault, ringMembers, ringPosition } from './ring.ts';

const names = (count: number, from = 1000) => Array.from({ length: count }, (_, n) => `amber-otter-${from + n}`);
const rollout = '01941234-1234-7234-8234-123412341234';
const rules = { plan: DEFAULT_PLAN, maxErrorPercent: 10 };

test('rings are stable and only grow, whatever else joins the fleet', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 400 }), fc.uuid(), (count, more, id) => {
      const devices = names(count);
      const all = DEFAULT_PLAN.map((ring) => ringMembers(id, devices, ring));
      for (const [index, members] of all.entries()) {
        assert.deepEqual(ringMembers(id, [...devices].reverse(), DEFAULT_PLAN[index]!).sort(), [...members].sort());
        if (index > 0) assert.ok(all[index - 1]!.every((device) => members.includes(device)));
        assert.ok(members.length >= Math.min(count, DEFAULT_PLAN[index]!.atLeast));
      }
      assert.equal(all.at(-1)!.length, count);
      const grown = ringMembers(id, [...devices, ...names(more, 5000)], { percent: 10, atLeast: 0, soakHours: 1 });
      for (const device of ringMembers(id, devices, { percent: 10, atLeast: 0, soakHours: 1 }))
        assert.ok(grown.includes(device));
    }),
    { numRuns: 60 },
  );
});

test('a ring holds about its share, and another rollout another one', () => {
  const devices = names(8000, 1000);
  const tenth = ringMembers(rollout, devices, { percent: 10, atLeast: 5, soakHours: 1 });
  assert.ok(Math.abs(tenth.length - 800) < 120, String(tenth.length));
  const other = new Set(
    ringMembers('01941234-1234-7234-8234-000000000000', devices, { percent: 10, atLeast: 5, soakHours: 1 }),
  );
  assert.ok(tenth.filter((device) => other.has(device)).length < 160);
  assert.equal(ringPosition(rollout, devices[0]!), ringPosition(rollout, devices[0]!));
});

test('a plan that would reach many at once is refused', () => {
  assert.equal(planFault(DEFAULT_PLAN), undefined);
  assert.match(planFault([{ percent: 100, atLeast: 0, soakHours: 24 }])!, /2 to 6/);
  assert.match(planFault([{ percent: 50, atLeast: 5, soakHours: 24 }, DEFAULT_PLAN[2]])!, /first ring/);
  assert.match(planFault([{ percent: 1, atLeast: 5, soakHours: 0 }, DEFAULT_PLAN[2]])!, /soak/);
  assert.match(planFault([DEFAULT_PLAN[0], DEFAULT_PLAN[1]])!, /last ring/);
  assert.match(planFault([DEFAULT_PLAN[1], DEFAULT_PLAN[0], DEFAULT_PLAN[2]])!, /more than/);
});

const facts = fc
  .record({ devices: fc.nat(50), sent: fc.nat(50), ok: fc.nat(50), failed: fc.nat(10) })
  .map(({ devices, sent, ok, failed }): RingFacts => ({ devices, sent: Math.min(sent, devices), ok, failed }));
const input = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('look' as const), facts, hours: fc.nat(30), by: fc.constant('') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom('pause' as const, 'resume' as const, 'skip' as const, 'cancel' as const),
      ...{ facts, hours: fc.nat(30), by: fc.constantFrom('ada', 'bo') },
    }),
  },
);

test('whatever happens: no ring opens early, alone, or after the end', () => {
  fc.assert(
    fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
      let state: RolloutState = FIRST;
      let now = 0;
      let openedAt = 0;
      let asked: string | null = null;
      for (const { type, facts: found, hours, by } of inputs) {
        now += hours * 3_600_000;
        const one: RolloutInput = type === 'look' ? { type, facts: found, now } : { type, by, facts: found, now };
        const { state: next, step } = advance(rules, state, one);
        if (state.status === 'done' || state.status === 'cancelled') assert.deepEqual(next, state, 'over is over');
        assert.ok(next.ring >= state.ring && next.ring <= state.ring + 1, 'rings open one by one and never close');
        if (next.ring > state.ring || next.status === 'done') {
          if (state.status !== 'done') {
            assert.equal(state.status, 'running');
            if (type === 'skip') assert.ok(asked !== null && asked !== by, 'two different people');
            else assert.ok(now - openedAt >= DEFAULT_PLAN[state.ring]!.soakHours * 3_600_000, 'after its soak');
            openedAt = now;
          }
        }
        if (type === 'look' && state.status === 'running' && found.failed > state.acceptedErrors) {
          const fresh: number = found.failed - state.acceptedErrors;
          assert.equal(next.status === 'halted', (fresh / (found.ok + fresh)) * 100 > 10, 'too many errors halt');
        }
        if (next.status === 'halted' && state.status !== 'halted') assert.equal(step?.kind, 'halted');
        asked = next.skipBy;
        state = next;
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a ring of which too few answered does not begin to soak', () => {
  const look = (found: RingFacts, now: number, state = FIRST) =>
    advance(rules, state, { type: 'look', facts: found, now });
  assert.equal(look({ devices: 10, sent: 9, ok: 9, failed: 0 }, 0).state.soakUntil, null, 'not all were sent');
  assert.equal(look({ devices: 10, sent: 10, ok: 4, failed: 0 }, 0).state.soakUntil, null);
  const soaking = look({ devices: 10, sent: 10, ok: 5, failed: 0 }, 0).state;
  assert.equal(soaking.soakUntil, 24 * 3_600_000);
  const halted = look({ devices: 10, sent: 10, ok: 5, failed: 1 }, 1, soaking);
  assert.deepEqual(halted.step, { kind: 'halted', why: '1 of 6 devices failed, more than 10 %' });
  const resumed = advance(rules, halted.state, {
    type: 'resume',
    by: 'ada',
    facts: { devices: 10, sent: 10, ok: 5, failed: 1 },
    now: 2,
  });
  assert.deepEqual([resumed.state.status, resumed.state.acceptedErrors, resumed.state.soakUntil], ['running', 1, null]);
});
