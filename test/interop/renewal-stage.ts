import { X509Certificate } from 'node:crypto';
import type { TestContext } from 'node:test';
import { type IdentityKind, renewCertificates } from '#fleet';
import { type AttestationServer, KeyPool, newPhone, openLine, Phone } from '#sim';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
const keyPool = new KeyPool();

export interface RenewingOptions {
  /** How the phones enrol; `scep` if it is left out. */
  readonly identity?: IdentityKind;
  /** Apple's servers, whose root the plane trusts, and which vouch for the phones' keys. */
  readonly apple?: AttestationServer;
}

/** A device plane with phones whose certificates are renewed by a clock that the test turns. */
export async function renewing(t: TestContext, count: number, { identity, apple }: RenewingOptions = {}) {
  const plane: DevicePlane = await devicePlane({}, apple === undefined ? {} : { roots: [apple.rootPem] });
  const line = openLine();
  t.after(async () => {
    line.close();
    await plane.close();
  });
  const offers = await plane.offer(count, identity);
  const phones: { handle: string; phone: Phone }[] = [];
  for (const { device, link } of offers) {
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), {
      ...{ send: line.send, keyPool },
      ...(apple === undefined ? {} : { attestationServer: apple }),
    });
    await phone.enrol(link);
    phones.push({ handle: device, phone });
  }
  return { ...renewals(plane), line, phones };
}

/** Core's rounds of renewals on a plane, by a clock that the test turns, and what they came to. */
export function renewals(plane: DevicePlane) {
  const clock = { now: Date.now() };
  const rows = async <T extends object>(sql: string, params: unknown[] = []) =>
    (await plane.core.query<T>(sql, params)).rows;
  return {
    ...{ plane, clock, rows },
    /** The certificates of all devices end in so many days. */
    left: (days: number) =>
      rows('update fleet.device set certificate_not_after = to_timestamp($1::double precision / 1000)', [
        clock.now + days * DAY,
      ]),
    round: () =>
      renewCertificates(plane.core, {
        ...{ signKey: plane.signKey, origin: plane.url, organisation: 'Example Agency', days: 90, now: clock.now },
      }),
    renewal: async (handle: string) =>
      (
        await rows<{ state: string; attempts: number; reason: string | null }>(
          `select r.state, r.attempts, r.reason from fleet.renewal r join fleet.device d on d.id = r.device_id where d.handle = $1`,
          [handle],
        )
      )[0],
    /** Certificates of a device that count, and which of them is pinned. */
    good: async (handle: string) =>
      rows<{ pinned: boolean; sha256: Buffer }>(
        `select c.sha256, c.sha256 = d.certificate_sha256 as pinned from fleet.certificate c join fleet.device d on d.id = c.device_id
         where d.handle = $1 and c.revoked_at is null`,
        [handle],
      ),
    events: async (kind: string) =>
      (
        await rows<{ detail: Record<string, unknown> }>(
          `select body->'unmapped' as detail from log.event where kind = $1 order by seq`,
          [kind],
        )
      ).map(({ detail }) => detail),
  };
}

/** SHA-256 of the certificate that a phone holds. */
export const held = (phone: Phone) =>
  new X509Certificate(Buffer.from(phone.state.identity!.certificate, 'base64')).fingerprint256
    .replaceAll(':', '')
    .toLowerCase();
