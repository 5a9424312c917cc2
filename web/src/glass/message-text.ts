import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import {
  type MessageText,
  type Notice,
  renderMessage,
  type Topic,
  templateBody,
  type Variables,
} from '../../../src/seal/notices.ts';
import { challengeOf, fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';
import { canonicalJson, type Json } from '../shared/canonical.ts';

const BOX_INFO = 'bartizan message v1';
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** The hashes that a document on this message bears. */
export async function hashesOf(topic: Topic, message: MessageText): Promise<{ template: string; text: string }> {
  return {
    template: toBase64url(await challengeOf(templateBody(topic))),
    text: toBase64url(await challengeOf(message)),
  };
}

/** Whether the notice's hashes are those of the text that this page shows for it. */
export async function isTextOf(document: Notice, organisation: string): Promise<boolean> {
  const message = renderMessage(document.topic, organisation, document.variables);
  if (message === undefined) return false;
  const { template, text } = await hashesOf(document.topic, message);
  return template === document.template && text === document.text;
}

/** Seals what goes into the text to courier alone: links to enrol with are nobody else's business. */
export async function sealVariables(courier: string, id: string, variables: Variables): Promise<string> {
  const recipientPublicKey = await suite.kem.importKey('raw', fromBase64url(courier).buffer, true);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: utf8(BOX_INFO) });
  const ct = new Uint8Array(await sender.seal(utf8(canonicalJson(variables as unknown as Json)), utf8(id)));
  const enc = new Uint8Array(sender.enc);
  const box = new Uint8Array(enc.length + ct.length);
  box.set(enc);
  box.set(ct, enc.length);
  return toBase64url(box);
}
