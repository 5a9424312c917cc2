import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventPeople, ownersDeviceName, peopleCsv, plantedValues } from './people.ts';

test('the same seed invents the same people, another seed others', () => {
  assert.deepEqual(inventPeople(50, 7), inventPeople(50, 7));
  assert.notDeepEqual(inventPeople(50, 7), inventPeople(50, 8));
});

test('numbers are unique and from ranges reserved for fiction, addresses unique at example.org', () => {
  const people = inventPeople(10_000);
  assert.equal(new Set(people.map((person) => person.mobile)).size, people.length);
  assert.equal(new Set(people.map((person) => person.email)).size, people.length);
  for (const person of people) {
    assert.match(person.mobile, /^(\+447700900\d{3}|\+3363998\d{4})$/);
    assert.match(person.email, /^[a-z]{2,}\.[a-z]{4,}\d*@example\.org$/);
    assert.match(person.memberState, /^[A-Z]{2}$/);
    assert.ok(person.family.length >= 6);
  }
  assert.throws(() => inventPeople(10_001), RangeError);
});

test('CSV has the agreed header and one row a person', () => {
  const people = inventPeople(30);
  const lines = peopleCsv(people).split('\r\n');
  assert.equal(lines[0], 'given_name,family_name,email,mobile,unit,member_state');
  assert.equal(lines.length, 32);
  const { given, family, email, mobile, unit, memberState } = people[4]!;
  assert.equal(lines[5], [given, family, email, mobile, unit, memberState].join(','));
});

test('planted values hold every personal value once', () => {
  const people = inventPeople(3, 5);
  const device = { deviceName: ownersDeviceName(people[0]!), phoneNumber: people[0]!.mobile };
  const values = plantedValues(people, [device]);
  assert.equal(new Set(values).size, values.length);
  for (const person of people) {
    for (const value of [person.email, person.mobile, person.family]) assert.ok(values.includes(value));
  }
  assert.ok(values.includes(device.deviceName));
});
