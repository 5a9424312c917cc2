import { BartizanError } from '#base';

/**
 * Bytes that are not what the standard says. Codes: `der`, `plist`, `cms`, `signature`, `scep`, `csr`, `certificate`,
 * `check-in`, `command`, `cbor`, `jws`, `acme`, `attestation`, `another-device`, `ade`, `ade-token`, `machine-info`, `legacy`, `scim`. The message never quotes the bytes.
 */
export class WireError extends BartizanError {}
