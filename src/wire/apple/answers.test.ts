import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../error.ts';
import type { PlistInput } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';
import { INVENTORY_KINDS, MOST_ITEMS } from './answers.ts';
import { parseCommandResult, RESULT_BYTES } from './result.ts';

const UDID = '00008110-000A1B2C3D4E5F60';
const base = { UDID, Status: 'Acknowledged', CommandUUID: '0198c5a0-0000-7000-8000-000000000001' };
const parse = (more: Record<string, PlistInput>) => parseCommandResult(writePlist({ ...base, ...more }));
const P = 'Annabel Kettleworth +447700900123 annabel@example.org';

// Every answer as a phone may give it, full of what must not come out.
const ANSWERS: Readonly<Record<string, Record<string, PlistInput>>> = {
  DeviceInformation: {
    QueryResponses: { OSVersion: '26.1', DeviceName: P, PhoneNumber: P, ICCID: P, OrganizationInfo: { X: P } },
  },
  SecurityInfo: {
    SecurityInfo: {
      PasscodePresent: true,
      PersonalRecoveryKeyCMS: P,
      ManagementStatus: { EnrolledViaDEP: true, Note: P },
    },
  },
  ProfileList: {
    ProfileList: [
      { PayloadIdentifier: 'a', PayloadDisplayName: P, PayloadContent: [{ PayloadType: 't', PayloadDescription: P }] },
    ],
  },
  CertificateList: { CertificateList: [{ CommonName: P, IsIdentity: true, Data: Buffer.from(P) }] },
  InstalledApplicationList: { InstalledApplicationList: [{ Identifier: 'org.x', Name: P, Version: '1' }] },
  ManagedApplicationList: { ManagedApplicationList: { 'org.x': { Status: 'Managed', UnusedRedemptionCode: P } } },
  ProvisioningProfileList: { ProvisioningProfileList: [{ Name: P, UUID: 'u', ExpiryDate: new Date(0) }] },
  UserList: { Users: [{ UserName: P, FullName: P, UserGUID: P, HasDataToSync: true, DataUsed: 5 }] },
  AvailableOSUpdates: { AvailableOSUpdates: [{ ProductKey: 'k', HumanReadableName: P, Version: '26.2' }] },
  OSUpdateStatus: { OSUpdateStatus: [{ ProductKey: 'k', Status: 'Idle', Note: P }] },
  ManagedApplicationConfiguration: { ApplicationConfigurations: [{ Identifier: 'org.x', Configuration: { user: P } }] },
  ManagedApplicationAttributes: {
    ApplicationAttributes: [{ Identifier: 'org.x', Attributes: { VPNUUID: 'v', Other: P } }],
  },
  ManagedApplicationFeedback: { ManagedApplicationFeedback: [{ Identifier: 'org.x', Feedback: { user: P } }] },
};

for (const kind of INVENTORY_KINDS) {
  test(`facts of ${kind}: what is allowed comes out, nothing of a person does`, () => {
    const { inventory } = parse(ANSWERS[kind]!);
    assert.equal(inventory?.kind, kind);
    const text = JSON.stringify(inventory);
    assert.doesNotMatch(text, /Annabel|7700|annabel/);
    assert.ok(Object.keys(inventory.facts).length > 0);
    assert.notEqual(JSON.stringify(inventory.facts), '{}');
  });
}

test('errors are codes and domains; texts in any language are dropped', () => {
  const { errors } = parse({
    Status: 'Error',
    ErrorChain: [
      { ErrorCode: 12021, ErrorDomain: 'MCMDMErrorDomain', LocalizedDescription: P, USEnglishDescription: P },
      'x',
      { ErrorDomain: P },
    ],
  });
  assert.deepEqual(errors, [
    { code: 12021, domain: 'MCMDMErrorDomain' },
    { code: 0, domain: 'unknown' },
  ]);
});

test('two thousand apps fit, and what is beyond is cut and said', () => {
  const app = (n: number) => ({
    Identifier: `org.example.app${n}`,
    Name: `App ${n}`,
    Version: '1.2.3',
    ShortVersion: '1.2',
    BundleSize: 123456,
    Installing: false,
  });
  const list = (n: number) => Array.from({ length: n }, (_, i) => app(i));
  const bytes = writePlist({ ...base, InstalledApplicationList: list(MOST_ITEMS) });
  assert.ok(bytes.length < RESULT_BYTES);
  const facts = parseCommandResult(bytes).inventory!.facts as { apps: unknown[]; cutFrom?: number };
  assert.deepEqual([facts.apps.length, facts.cutFrom], [MOST_ITEMS, undefined]);
  const cut = parse({ InstalledApplicationList: list(MOST_ITEMS + 5) }).inventory!.facts as {
    apps: unknown[];
    cutFrom?: number;
  };
  assert.deepEqual([cut.apps.length, cut.cutFrom], [MOST_ITEMS, MOST_ITEMS + 5]);
});

test('a place comes out sealed, and only from an answer that succeeded', () => {
  const place = {
    Latitude: 48.208176,
    Longitude: 16.373819,
    HorizontalAccuracy: 65.4,
    Timestamp: '2026-11-24T20:00:00Z',
  };
  const result = parse(place);
  assert.equal(result.inventory, undefined);
  assert.equal(
    result.personal.get('location')?.use((text) => text.length),
    '48.208176, 16.373819 ±65 m 2026-11-24T20:00:00Z'.length,
  );
  assert.throws(() => JSON.stringify([...result.personal.values()]));
  assert.equal(parse({ ...place, Status: 'Error' }).personal.size, 0);
  assert.equal(parse({ ...place, Latitude: 91 }).personal.size, 0);
  assert.equal(
    parse({ ...place, Timestamp: '<b>' })
      .personal.get('location')
      ?.use((text) => text.includes('<')),
    false,
  );
});

test('whatever stands in an answer, the parser gives facts or its own error', () => {
  const seeds = Object.values(ANSWERS).map((answer) => writePlist({ ...base, ...answer }));
  fc.assert(
    fc.property(fc.nat(seeds.length - 1), fc.nat(), fc.uint8Array({ maxLength: 12 }), (which, where, junk) => {
      const seed = seeds[which]!;
      const at = where % seed.length;
      const bytes = Buffer.concat([seed.subarray(0, at), junk, seed.subarray(at + (where % 7))]);
      try {
        const { inventory } = parseCommandResult(bytes);
        assert.ok(inventory === undefined || JSON.stringify(inventory).length < 100_000);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
