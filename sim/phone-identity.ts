import { acmeEnrol } from './acme.ts';
import { KeyPool, readKey } from './keys.ts';
import type { PhoneOptions } from './phone-options.ts';
import type { PhoneState } from './phone-state.ts';
import type { EnrolmentProfile } from './profile.ts';
import { fillSubject, scepEnrol } from './scep.ts';

/** Makes a key and has it certified as the profile says, by SCEP or ACME. Throws ScepRefused or AcmeRefused. */
export async function identify(
  state: PhoneState,
  options: PhoneOptions,
  { identity }: EnrolmentProfile,
): Promise<NonNullable<PhoneState['identity']>> {
  const { send, keyPool, digest, attestationServer } = options;
  const { serial, udid, osVersion, deviceName } = state;
  const subject = fillSubject(identity.subject, {
    SerialNumber: serial,
    HardwareUUID: udid,
    ComputerName: deviceName,
  });
  if (identity.kind === 'acme') {
    const hardware = attestationServer === undefined ? undefined : { serial, udid, osVersion, attestationServer };
    const got = await acmeEnrol(send, { ...identity, subject }, hardware);
    const der = got.key.export({ type: 'pkcs8', format: 'der' });
    return { key: der.toString('base64'), certificate: got.certificate.toString('base64') };
  }
  const pool = keyPool ?? new KeyPool([], { bits: identity.keySize });
  const key = await pool.take();
  const certificate = await scepEnrol(send, {
    ...identity,
    key: readKey(key),
    subject,
    ...(digest === undefined ? {} : { digest }),
  });
  return { key, certificate: certificate.toString('base64') };
}
