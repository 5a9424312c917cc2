import { generateKeyPairSync } from 'node:crypto';
import { readKey } from './keys.ts';
import { done, type Outcome } from './outcome.ts';
import type { PhoneOptions } from './phone-options.ts';
import type { PhoneState } from './phone-state.ts';
import type { PlistDict } from './plist.ts';

/** Apple's servers make a device one fresh attestation in so many milliseconds; until then it gives the one that it has. */
const FRESH_EVERY_MS = 7 * 86_400_000;
const QUERY = 'DevicePropertiesAttestation';

/**
 * The answer to DeviceInformation where it asks for an attestation (Apple: DevicePropertiesAttestation, DeviceAttestationNonce);
 * undefined where it does not. A phone that nobody vouches for leaves the key out.
 */
export function attestProperties(state: PhoneState, options: PhoneOptions, command: PlistDict): Outcome | undefined {
  const queries = command['Queries'];
  if (!Array.isArray(queries) || !queries.includes(QUERY)) return undefined;
  const { attestationServer: server, clock = Date.now } = options;
  if (server === undefined) return done({ QueryResponses: {} });
  const nonce = command['DeviceAttestationNonce'];
  if (nonce !== undefined && (!(nonce instanceof Uint8Array) || nonce.length > 32))
    throw new SyntaxError('the nonce has more than 32 bytes');
  const ready = state.attested;
  if (ready === undefined || clock() - ready.at >= FRESH_EVERY_MS) {
    const key = ready?.key ?? newKey();
    const { serial, udid, osVersion } = state;
    const chain = server.attest(readKey(key), {
      ...{ serial, udid, osVersion },
      freshness: Buffer.from((nonce as Uint8Array | undefined) ?? new Uint8Array()),
    });
    state.attested = { key, at: clock(), chain: chain.map((one) => one.toString('base64')) };
  }
  const chain = state.attested!.chain.map((one) => Buffer.from(one, 'base64'));
  return done({ QueryResponses: { [QUERY]: chain } });
}

const newKey = () =>
  generateKeyPairSync('ec', { namedCurve: 'P-384' })
    .privateKey.export({ type: 'pkcs8', format: 'der' })
    .toString('base64');
