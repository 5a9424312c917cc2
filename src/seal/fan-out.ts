import type { KeyObject } from 'node:crypto';
import { sha256, toBase64url } from '#base';
import { checkBody, signBody } from './signed.ts';

/** What core signs once for one command to many devices: this verb, with this template, for exactly these devices. */
export interface FanOut {
  readonly id: string;
  readonly verb: string;
  /** base64url SHA-256 of the command with NIL_UUID in place of each device's own. */
  readonly template: string;
  /** `membersDigest` of all devices. */
  readonly members: string;
  readonly count: number;
}

const statement = ({ id, verb, template, members, count }: FanOut) => ({
  ...{ v: 1, op: 'fan-out', id, verb, template, members, count },
});

/** Stands in a template where each device's command has a UUID of its own (RFC 9562, section 5.9). */
export const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** base64url SHA-256 over the devices' handles in byte order, joined by line feeds. Sorts a copy. */
export function membersDigest(handles: readonly string[]): string {
  // Handles are ASCII, so the order of UTF-16 units is the order of bytes.
  return toBase64url(sha256([...handles].sort().join('\n')));
}

/** The UUID of one device's command in a fan-out (RFC 9562, section 5.8); SQL: fleet.fan_out_uuid. */
export function fanOutUuid(id: string, handle: string): string {
  const bytes = sha256(`bartizan fan-out v1\n${id}\n${handle}`).subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Signs a fan-out with core's Ed25519 key. Returns the 64-byte signature as base64url. */
export function signFanOut(privateKey: KeyObject, fanOut: FanOut): string {
  return signBody(privateKey, statement(fanOut));
}

/** True if core, whose Ed25519 SPKI (base64url DER) is given, signed exactly this fan-out. */
export function verifyFanOut(coreSpki: string, fanOut: FanOut, signature: Uint8Array): boolean {
  return checkBody(coreSpki, statement(fanOut), toBase64url(signature));
}
