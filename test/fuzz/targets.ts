import { accountPayloadTarget, attestationTarget, cborTarget, jwsTarget } from './acme.ts';
import { machineInfoTarget, serverTokenTarget } from './ade.ts';
import { envelopedTarget, mdmSignatureTarget, signedTarget } from './cms.ts';
import { ddmTarget } from './ddm.ts';
import { certificateTarget, derTarget } from './der.ts';
import { timeStampTarget } from './evidence.ts';
import { guardDoorsTarget, guardFramesTarget } from './guards.ts';
import { checkInTarget, resultTarget } from './messages.ts';
import { binaryPlistTarget, packageTarget } from './packages.ts';
import { plistTarget } from './plist.ts';
import { certRepTarget, csrTarget, scepTarget } from './scep.ts';
import { scimTarget } from './scim.ts';
import { adePageTarget, releasesTarget } from './services.ts';
import type { Target } from './target.ts';

/** Every parser that bytes from outside reach. A new one gets a line here. */
export const TARGETS: Readonly<Record<string, () => Target>> = {
  plist: plistTarget,
  'check-in': checkInTarget,
  result: resultTarget,
  der: derTarget,
  certificate: certificateTarget,
  'cms-signed': signedTarget,
  'cms-enveloped': envelopedTarget,
  'mdm-signature': mdmSignatureTarget,
  csr: csrTarget,
  scep: scepTarget,
  'cert-rep': certRepTarget,
  'ddm-status': ddmTarget,
  'machine-info': machineInfoTarget,
  'server-token': serverTokenTarget,
  package: packageTarget,
  'binary-plist': binaryPlistTarget,
  'ade-page': adePageTarget,
  releases: releasesTarget,
  'time-stamp': timeStampTarget,
  scim: scimTarget,
  cbor: cborTarget,
  'attestation-object': attestationTarget,
  jws: jwsTarget,
  'acme-account-payload': accountPayloadTarget,
  'guard-doors': guardDoorsTarget,
  'guard-frames': guardFramesTarget,
};
