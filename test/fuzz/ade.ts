import { encryptEnvelope, openServerToken, parseMachineInfo, signCms } from '#wire';
import type { Dice } from './dice.ts';
import { seeds } from './seeds.ts';
import { Broken, checkTexts, type Target } from './target.ts';
import { DER_WORDS } from './words.ts';

const INFO = Buffer.from(
  '<plist version="1.0"><dict><key>SERIAL</key><string>ABC123</string><key>OS_VERSION</key><string>18.1</string></dict></plist>',
);
const TOKEN = Buffer.from(
  'Content-Type: text/plain\r\n\r\n-----BEGIN MESSAGE-----\r\n{"consumer_key":"a","consumer_secret":"b","access_token":"c","access_secret":"d","access_token_expiry":"2027-01-01T00:00:00Z"}\r\n-----END MESSAGE-----\r\n',
);

/** MachineInfo of a device in Setup Assistant: what is not signed as it stands is never verified. */
export function machineInfoTarget(): Target {
  const { rsa, ca, openssl } = seeds();
  const signed = openssl(
    'cms',
    '-sign',
    '-binary',
    '-nodetach',
    '-outform',
    'DER',
    '-signer',
    'rsa.pem',
    '-in',
    'body',
  );
  return {
    ...{ name: 'machine-info', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [signed, signCms({ content: INFO, certificate: rsa.certificate, key: rsa.key })],
    parse: (input) => {
      const info = parseMachineInfo(input, [ca.certificate]);
      checkTexts(info);
      if (info.verified && info.serial !== undefined && info.serial !== 'ABC123')
        throw new Broken('a serial number that nobody signed passes as verified');
      return `${info.verified} ${info.serial === undefined} ${info.osVersion === undefined}`;
    },
  };
}

/** Apple's server token: S/MIME around an encrypted message. */
export function serverTokenTarget(): Target {
  const { registration } = seeds();
  const wrap = (text: Buffer) =>
    Buffer.concat([
      Buffer.from('Content-Transfer-Encoding: base64\r\n\r\n'),
      Buffer.from(encrypt(text).toString('base64').replace(/.{76}/g, '$&\r\n')),
    ]);
  const encrypt = (text: Buffer) => encryptEnvelope(text, registration.certificate);
  return {
    ...{ name: 'server-token', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [encrypt(TOKEN), wrap(TOKEN)],
    parse: (input) => {
      const token = openServerToken(input, registration);
      checkTexts(token);
      return `${token.notAfter > 0}`;
    },
    make: (_dice: Dice, change) => wrap(change(TOKEN)),
  };
}
