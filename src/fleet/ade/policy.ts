import { type Certificate, fromPem, parseCertificate, WireError } from '#wire';
import { FleetError } from '../error.ts';

/** How devices from Apple's assignment service are set up and let in. */
export interface AdePolicy {
  /** New devices get our profile by themselves. */
  readonly autoAssign: boolean;
  /** A device whose signature leads to none of `deviceCas`: refused, or let in with a finding. */
  readonly unverified: 'refuse' | 'accept';
  /** PEM certificates of Apple's device authorities. */
  readonly deviceCas: string;
  /** Devices below this version must update first; empty for any. */
  readonly minimumOs: string;
  readonly supervised: boolean;
  readonly mandatory: boolean;
  readonly removable: boolean;
  readonly awaitConfigured: boolean;
  /** Panes of Setup Assistant that are left out, by Apple's names. */
  readonly skip: readonly string[];
  /** PEM certificates that the device trusts for our address besides its own. */
  readonly anchors: string;
}

const DEFAULT: AdePolicy = {
  ...{ autoAssign: false, unverified: 'refuse', deviceCas: '', minimumOs: '', supervised: true },
  ...{ mandatory: true, removable: false, awaitConfigured: true, skip: [], anchors: '' },
};

/** A stored policy with what it leaves out. */
export const readAdePolicy = (stored: Partial<AdePolicy>): AdePolicy => ({ ...DEFAULT, ...stored });

/** Throws FleetError if a certificate cannot be read or a name is not one. */
export function checkAdePolicy(policy: AdePolicy): AdePolicy {
  try {
    certificatesOf(policy.deviceCas);
    certificatesOf(policy.anchors);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new FleetError('bad-request', 'The certificates are not PEM that can be read.', { cause });
  }
  if (!/^([0-9]{1,3}(\.[0-9]{1,3}){0,2})?$/.test(policy.minimumOs))
    throw new FleetError('bad-request', 'The least version looks like 18.1.');
  if (policy.skip.some((pane) => !/^[A-Za-z]{1,64}$/.test(pane)))
    throw new FleetError('bad-request', 'Panes of Setup Assistant are named by letters, such as Siri.');
  return policy;
}

/** Every certificate of a text of PEM blocks. Throws WireError. */
export function certificatesOf(pem: string): Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 && pem.trim() !== '') throw new WireError('certificate', 'The text is not PEM.');
  return blocks.map((block) => parseCertificate(fromPem(block)));
}

/** What Apple is told to set devices up with. Nothing of it names a person: no support number, no address. */
export function adeProfile(policy: AdePolicy, where: { edge: string; organisation: string }): Record<string, unknown> {
  return {
    profile_name: `${where.organisation} device management`,
    url: `${where.edge}/ade`,
    is_supervised: policy.supervised,
    is_mandatory: policy.mandatory,
    is_mdm_removable: policy.removable,
    await_device_configured: policy.awaitConfigured,
    allow_pairing: true,
    is_multi_user: false,
    auto_advance_setup: false,
    org_magic: 'bartizan',
    skip_setup_items: [...policy.skip],
    anchor_certs: certificatesOf(policy.anchors).map((one) => Buffer.from(one.der).toString('base64')),
  };
}
