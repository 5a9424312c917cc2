import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide, type RenewalFacts, type RenewalState, renewalAlarm } from './decide.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A device and its renewal, with no database: what `renew.ts` does with each decision, in a few lines. */
class Model {
  now = 0;
  state: RenewalState = 'due';
  nextAt = 0;
  attempts = 0;
  /** Commands by number: their states. At most the last one may be open. */
  readonly commands: string[] = [];
  enrolled = true;
  notAfter = 90 * DAY;
  issued = 0;
  reasons: string[] = [];

  get command(): string | null {
    return this.commands.at(-1) ?? null;
  }
  set command(state: string) {
    if (this.commands.length > 0) this.commands[this.commands.length - 1] = state;
  }
  get open(): boolean {
    return ['queued', 'delivered', 'not_now'].includes(this.command ?? '');
  }
  get underWay(): boolean {
    return this.state === 'sent' || this.state === 'issued';
  }

  round(): void {
    const facts: RenewalFacts = {
      ...{ state: this.state, nextAt: this.nextAt, attempts: this.attempts, command: this.command },
      ...{ enrolled: this.enrolled, notAfter: this.notAfter, now: this.now },
    };
    const decision = decide(facts);
    if (decision.act === 'wait') return;
    if (this.open) this.command = 'cancelled';
    if (decision.act === 'attempt') {
      this.state = 'sent';
      this.nextAt = decision.until;
      this.attempts += 1;
      this.commands.push('queued');
    } else if (decision.act === 'fail') {
      this.state = 'due';
      this.nextAt = decision.next;
      this.reasons.push(decision.reason);
    } else this.state = 'stopped';
  }
}

/** What may happen to a renewal, in any order. */
const EVENTS: Record<string, (model: Model) => void> = {
  deliver: (m) => {
    if (m.command === 'queued' || m.command === 'not_now') m.command = 'delivered';
  },
  notNow: (m) => {
    if (m.open) m.command = 'not_now';
  },
  error: (m) => {
    if (m.open) m.command = 'error';
  },
  formatError: (m) => {
    if (m.open) m.command = 'format_error';
  },
  issue: (m) => {
    if (m.state === 'sent' && m.open) {
      m.state = 'issued';
      m.issued += 1;
    }
  },
  acknowledge: (m) => {
    if (m.open) m.command = 'acknowledged';
  },
  takenBack: (m) => {
    if (m.open) m.command = 'cancelled';
  },
  superseded: (m) => {
    if (m.open) m.command = 'superseded';
  },
  seen: (m) => {
    if (m.issued > 0 && m.state !== 'stopped') m.state = 'done';
  },
  round: (m) => m.round(),
};

const event = fc.oneof(
  fc.constantFrom(...Object.keys(EVENTS)).map((name) => ({ name, hours: 0 })),
  fc.integer({ min: 0, max: 60 }).map((hours) => ({ name: 'round', hours })),
);

test('whatever order of answers, silences, cancellations and crashes: never stuck, one command at a time, and a willing device gets there', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: -5, max: 90 }), (events, daysLeft) => {
      const m = new Model();
      m.notAfter = daysLeft * DAY;
      for (const { name, hours } of events) {
        m.now += hours * HOUR;
        EVENTS[name]!(m);
        const open = m.commands.filter((state) => ['queued', 'delivered', 'not_now'].includes(state));
        assert.ok(open.length <= 1, 'more than one command');
        assert.ok(
          open.length === 0 || ['queued', 'delivered', 'not_now'].includes(m.command!),
          'an old command is open',
        );
        if (name === 'round' && m.state !== 'done') {
          assert.ok(['due', 'sent', 'issued'].includes(m.state));
          assert.ok(m.nextAt <= m.now + DAY, 'an open renewal has an end within a day');
          if (m.state === 'due') assert.ok(m.nextAt > m.now, 'a failed attempt is not repeated at once');
          if (m.state === 'due') assert.ok(!m.open, 'no command of a failed attempt is left');
        }
      }
      // From here on the device does what it is told; three days later it must have a new certificate.
      for (let hour = 0; hour < 72 && m.state !== 'done'; hour += 1) {
        m.round();
        if (m.state === 'sent' && m.open)
          for (const name of ['deliver', 'issue', 'acknowledge', 'seen']) EVENTS[name]!(m);
        m.now += HOUR;
      }
      assert.equal(m.state, 'done');
    }),
    { numRuns: 2_000 },
  );
});

test('a device that left stops its renewal, whatever its state', () => {
  for (const state of ['due', 'sent', 'issued'] as const) {
    const facts = { nextAt: 0, attempts: 3, command: 'queued', enrolled: false, notAfter: DAY, now: 1 };
    assert.deepEqual(decide({ ...facts, state }), { act: 'stop' });
  }
});

test('pauses grow to a day, and stay short when the end is near', () => {
  const pause = (attempts: number, left: number) => {
    const facts = { state: 'sent', nextAt: 0, command: 'error', enrolled: true, notAfter: left * DAY, now: 0 } as const;
    const decision = decide({ ...facts, attempts });
    return decision.act === 'fail' ? decision.next / HOUR : -1;
  };
  assert.deepEqual(
    [1, 2, 3, 8, 20].map((n) => pause(n, 60)),
    [0.25, 0.5, 1, 24, 24],
  );
  assert.deepEqual(
    [1, 2, 8, 20].map((n) => pause(n, 5)),
    [0.25, 0.5, 2, 2],
  );
});

test('alarms at 60, 30 and 14 days and nearer', () => {
  assert.deepEqual(
    [61, 60, 31, 30, 14, 5, -3].map((left) => renewalAlarm(left * DAY, 0)),
    [undefined, 60, 60, 30, 14, 7, 0],
  );
});
