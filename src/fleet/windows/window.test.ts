import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isOpen, isTimeZone, type MaintenanceWindow, nextOpening } from './window.ts';

const MINUTE = 60_000;
/** Around changes of the clock: forward, back, by half an hour, and nowhere. */
const PLACES = [
  ['Europe/Brussels', '2026-03-29T01:00Z'],
  ['Europe/Brussels', '2026-10-25T01:00Z'],
  ['America/New_York', '2026-03-08T07:00Z'],
  ['America/New_York', '2026-11-01T06:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30Z'],
  ['America/Santiago', '2026-04-05T03:00Z'],
  ['America/Santiago', '2026-09-06T04:00Z'],
  ['Asia/Kathmandu', '2026-06-01T00:00Z'],
  ['UTC', '2026-01-01T00:00Z'],
] as const;

const window = (timeZone: string) =>
  fc.record({
    timeZone: fc.constant(timeZone),
    days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 7 }),
    fromMinute: fc.oneof(fc.integer({ min: 0, max: 240 }), fc.integer({ min: 0, max: 1439 })),
    minutes: fc.integer({ min: 15, max: 300 }),
  });

test('the next opening is the one that a scan of every minute finds', () => {
  for (const [timeZone, change] of PLACES) {
    const moment = Date.parse(change);
    fc.assert(
      fc.property(
        fc.array(window(timeZone), { minLength: 1, maxLength: 2 }),
        fc.integer({ min: -600, max: 240 }),
        (windows, offset) => {
          const at = moment + offset * MINUTE;
          let expected: number | undefined;
          // Most windows open within a day of the change; what does not is only checked to lie beyond.
          for (let minute = 0; minute < 1_500 && expected === undefined; minute += 1)
            if (isOpen(windows, at + minute * MINUTE)) expected = at + minute * MINUTE;
          const found = nextOpening(windows, at);
          assert.ok(found !== undefined && isOpen(windows, found));
          if (expected !== undefined) assert.equal(found, expected);
          else assert.ok(found >= at + 1_500 * MINUTE);
        },
      ),
      { numRuns: 25 },
    );
  }
});

const SUNDAY_NIGHT: MaintenanceWindow = { timeZone: 'Europe/Brussels', days: [6], fromMinute: 150, minutes: 60 };
const at = (text: string) => Date.parse(text);
const iso = (time: number | undefined) => (time === undefined ? undefined : new Date(time).toISOString());

test('a window that the clock jumps into opens at the jump; one that comes twice opens twice', () => {
  // 29 March 2026: 02:00 becomes 03:00, so 02:30 to 03:30 is 03:00 to 03:30.
  assert.equal(iso(nextOpening([SUNDAY_NIGHT], at('2026-03-29T00:00Z'))), '2026-03-29T01:00:00.000Z');
  assert.equal(isOpen([SUNDAY_NIGHT], at('2026-03-29T01:30Z')), false);
  // 25 October 2026: 03:00 becomes 02:00; half past two comes at 00:30 and at 01:30 UTC.
  assert.equal(iso(nextOpening([SUNDAY_NIGHT], at('2026-10-24T22:00Z'))), '2026-10-25T00:30:00.000Z');
  assert.equal(iso(nextOpening([SUNDAY_NIGHT], at('2026-10-25T01:00Z'))), '2026-10-25T01:30:00.000Z');
});

test('a window may reach over midnight, and belongs to the day on which it opens', () => {
  const friday: MaintenanceWindow = { timeZone: 'Asia/Tokyo', days: [4], fromMinute: 22 * 60, minutes: 480 };
  assert.equal(isOpen([friday], at('2026-11-27T13:00Z')), true, 'Friday 22:00');
  assert.equal(isOpen([friday], at('2026-11-27T20:59Z')), true, 'Saturday 05:59');
  assert.equal(isOpen([friday], at('2026-11-27T21:00Z')), false, 'Saturday 06:00');
  assert.equal(iso(nextOpening([friday], at('2026-11-27T21:00Z'))), '2026-12-04T13:00:00.000Z');
});

test('without a window nothing opens, and unknown places are known to be unknown', () => {
  assert.equal(nextOpening([], at('2026-11-27T13:00Z')), undefined);
  assert.ok(isTimeZone('Europe/Helsinki'));
  assert.ok(!isTimeZone('Europe/Atlantis'));
});
