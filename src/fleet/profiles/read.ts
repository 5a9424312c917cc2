import { sha256 } from '#base';
import { isDict, type Plist, type PlistDict, parsePlist, parseSigned, textAt, verifySigned, WireError } from '#wire';
import { FleetError } from '../error.ts';

const MOST_BYTES = 512 * 1024;

/** A configuration profile, read and checked. */
export interface ReadProfile {
  /** The property list alone, as it is stored and sent. */
  readonly body: Buffer;
  readonly root: PlistDict;
  readonly identifier: string;
  readonly uuid: string;
  readonly name: string;
  readonly payloads: readonly PlistDict[];
  /** SHA-256 of the certificate that signed it, if it came signed. Says nothing about trust in it. */
  readonly signer: Buffer | undefined;
}

/**
 * Reads a profile as an admin hands it in: XML, or XML inside CMS, whose signature must be right. Every level needs an
 * identifier and a UUID of its own, because devices tell payloads apart by them. Throws FleetError `bad-request`.
 */
export function readProfile(bytes: Uint8Array): ReadProfile {
  const { body, signer } = unwrap(bytes);
  let root: Plist;
  try {
    root = parsePlist(body, { maxBytes: MOST_BYTES });
  } catch (cause) {
    throw bad(cause instanceof WireError ? cause.message : 'The profile cannot be read.', cause);
  }
  if (!isDict(root) || textAt(root, 'PayloadType') !== 'Configuration')
    throw bad('The profile is not a configuration profile (PayloadType Configuration).');
  const [identifier, uuid] = [textAt(root, 'PayloadIdentifier'), textAt(root, 'PayloadUUID')];
  const contents = root.get('PayloadContent');
  if (identifier === undefined || uuid === undefined || !Array.isArray(contents))
    throw bad('The profile lacks PayloadIdentifier, PayloadUUID or PayloadContent.');
  if (!/^[A-Za-z0-9._-]{1,255}$/.test(identifier))
    throw bad('PayloadIdentifier takes letters, digits, dots, hyphens and underscores.');
  const payloads = (contents as readonly Plist[]).map((item) => {
    if (!isDict(item)) throw bad('A payload of the profile is not a dictionary.');
    return item;
  });
  const seen = new Set([uuid.toLowerCase()]);
  for (const payload of payloads) {
    const type = textAt(payload, 'PayloadType');
    if (type === undefined) throw bad('A payload of the profile has no PayloadType.');
    const own = textAt(payload, 'PayloadUUID')?.toLowerCase();
    if (own === undefined || textAt(payload, 'PayloadIdentifier') === undefined)
      throw bad(`The payload of type ${type.slice(0, 100)} lacks PayloadIdentifier or PayloadUUID.`);
    if (seen.has(own)) throw bad(`The PayloadUUID of the payload of type ${type.slice(0, 100)} is used twice.`);
    seen.add(own);
  }
  const name = (textAt(root, 'PayloadDisplayName') ?? identifier).trim().slice(0, 120) || identifier.slice(0, 120);
  return { body, root, identifier, uuid, name, payloads, signer };
}

const bad = (message: string, cause?: unknown): FleetError => new FleetError('bad-request', message, { cause });

function unwrap(bytes: Uint8Array): { body: Buffer; signer: Buffer | undefined } {
  // A property list begins with `<`; DER of a SignedData with a SEQUENCE.
  if (bytes[0] !== 0x30) return { body: Buffer.from(bytes), signer: undefined };
  try {
    const message = parseSigned(bytes);
    if (message.content === undefined) throw bad('The signature on the profile holds no profile.');
    const signer = verifySigned(message, message.content, { allowLegacyDigest: true });
    return { body: message.content, signer: sha256(signer.der) };
  } catch (cause) {
    if (cause instanceof FleetError) throw cause;
    throw bad('The signature on the profile is broken; nothing of it was stored.', cause);
  }
}
