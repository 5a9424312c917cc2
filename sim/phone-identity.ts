import { acmeEnrol, type IdentityFault } from './acme.ts';
import { AttestationServer } from './attestation.ts';
import { KeyPool, readKey } from './keys.ts';
import type { PhoneOptions } from './phone-options.ts';
import type { PhoneState } from './phone-state.ts';
import type { EnrolmentProfile } from './profile.ts';
import { fillSubject, scepEnrol } from './scep.ts';

/** Makes a key and has it certified as the profile says, by SCEP or ACME. Throws ScepRefused or AcmeRefused. */
export async function identify(
  state: PhoneState,
  options: PhoneOptions,
  { identity, enrolment }: EnrolmentProfile,
  fault?: IdentityFault,
): Promise<NonNullable<PhoneState['identity']>> {
  const { send, keyPool, digest, attestationServer } = options;
  const { serial, udid, osVersion, deviceName } = state;
  const subject = fillSubject(identity.subject, {
    SerialNumber: serial,
    HardwareUUID: udid,
    ComputerName: deviceName,
  });
  if (identity.kind === 'acme') {
    // Under user enrolment Apple vouches for the key and says nothing of which device it is.
    const numbers = enrolment.enrollmentId === undefined ? { serial, udid } : {};
    const stranger = fault === 'wrong-root' ? { stranger: new AttestationServer() } : {};
    const hardware =
      attestationServer === undefined ? undefined : { ...numbers, osVersion, attestationServer, ...stranger };
    const got = await acmeEnrol(send, { ...identity, subject }, hardware, fault);
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
