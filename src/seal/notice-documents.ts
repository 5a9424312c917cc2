import type { KeyObject } from 'node:crypto';
import { canonicalJson, HANDLE, type Json, sha256, toBase64url } from '#base';
import { SealError } from './errors.ts';
import {
  AUTOMATIC,
  type AutoSend,
  CHANNELS,
  type Channel,
  FOR_MANY,
  type MessageText,
  MOST_NOTIFIED,
  type Notice,
  type Ordered,
  renderMessage,
  type Send,
  TOPICS,
  type Topic,
  templateBody,
  VARIABLES,
  type Variable,
  type Variables,
} from './notices.ts';
import { base64url, integer, list, object, oneOf, type Shape, text } from './shape.ts';
import { checkBody, signBody } from './signed.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const admin = text(63, { pattern: /^[a-z0-9][a-z0-9-]{1,62}$/ });
const handle = text(40, { pattern: HANDLE });

/** The field that a channel needs. */
export const CHANNEL_FIELD = { sms: 'number', email: 'email' } as const satisfies Record<Channel, string>;

/** base64url SHA-256 of a template. */
export const templateHash = (topic: Topic): string =>
  toBase64url(sha256(canonicalJson({ ...templateBody(topic) } as Json)));
/** base64url SHA-256 of a message as it is sent. */
export const textHash = (message: MessageText): string => toBase64url(sha256(canonicalJson({ ...message } as Json)));

const variables: Shape<Variables> = (value, where = '') => {
  const given =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  const fits = given?.every(
    ([name, one]) => Object.hasOwn(VARIABLES, name) && typeof one === 'string' && VARIABLES[name as Variable].test(one),
  );
  if (!fits) throw new SealError('shape', `A message has the wrong shape at ${where}.`);
  return value as Variables;
};

const common = {
  v: oneOf(1),
  id: text(36, { min: 36, pattern: UUID }),
  channel: oneOf(...CHANNELS),
  template: base64url(32),
  text: base64url(32),
  notAfter: integer(0),
};

function known<T extends Ordered>(read: T): T {
  if (read.template !== templateHash(read.topic)) {
    throw new SealError('shape', 'A message names a template that is not known here.');
  }
  return read;
}

const send = object({ ...common, op: oneOf('send'), topic: oneOf(...TOPICS), admin, subject: handle });

/** Reads a message to one person. Throws SealError `shape`. */
export const parseSend: Shape<Send> = (value, where) => known(send(value, where));

const notice = object({
  ...common,
  op: oneOf('notice'),
  topic: oneOf(...FOR_MANY),
  variables,
  subjects: list(handle, MOST_NOTIFIED, 2),
  requester: admin,
  purpose: text(200, { min: 5 }),
});

/** Reads a notice: people sorted and unique. Throws SealError `shape`. */
export const parseNotice: Shape<Notice> = (value, where) => {
  const read = known(notice(value, where));
  for (let i = 1; i < read.subjects.length; i++) {
    if (read.subjects[i - 1]! >= read.subjects[i]!) {
      throw new SealError('shape', 'A list in a document is not sorted and unique.');
    }
  }
  return read;
};

const automatic = object({
  ...common,
  op: oneOf('auto-send'),
  topic: oneOf(...AUTOMATIC),
  rule: text(40, { pattern: /^[a-z0-9-]{3,40}$/ }),
  variables,
  subject: handle,
  signature: base64url(64),
});

/** Reads a message of a rule; whose it is, `verifyAutoSend` says. Throws SealError `shape`. */
export const parseAutoSend: Shape<AutoSend> = (value, where) => known(automatic(value, where));

/** Reads whatever lets the guards open an address to courier. Throws SealError `shape`. */
export const parseOrdered: Shape<Ordered> = (value, where) => {
  const op = typeof value === 'object' && value !== null && 'op' in value ? value.op : undefined;
  if (op === 'send') return parseSend(value, where);
  if (op === 'notice') return parseNotice(value, where);
  return parseAutoSend(value, where);
};

/** The hashes that a document on this message bears. Throws SealError `shape` if the variables do not fit. */
export function messageHashes(
  topic: Topic,
  organisation: string,
  given: Variables,
): { template: string; text: string } {
  const rendered = renderMessage(topic, organisation, given);
  if (rendered === undefined) throw new SealError('shape', 'The variables are not those of this message.');
  return { template: templateHash(topic), text: textHash(rendered) };
}

/** Signs a rule's message with core's Ed25519 key. */
export function signAutoSend(privateKey: KeyObject, body: Omit<AutoSend, 'signature'>): AutoSend {
  return { ...body, signature: signBody(privateKey, body) };
}

/** True if core, whose Ed25519 SPKI (base64url DER) is given, signed exactly this. */
export function verifyAutoSend(coreSpki: string, message: AutoSend): boolean {
  const { signature, ...body } = message;
  return checkBody(coreSpki, body, signature);
}
