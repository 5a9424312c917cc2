import type { Sealed } from '#base';
import { writePlist } from '../plist/write.ts';

/** The answer to GetBootstrapToken; the token travels as it came, base64. */
export function bootstrapTokenAnswer(token: Sealed<string>): Buffer {
  return token.use((text) => writePlist({ BootstrapToken: Buffer.from(text, 'base64') }));
}

/** The answer to GetToken. */
export function tokenAnswer(token: string): Buffer {
  return writePlist({ TokenData: Buffer.from(token, 'latin1') });
}

/** The answer to the first UserAuthenticate where users need not prove anything to us: an empty challenge. */
export function digestChallengeAnswer(): Buffer {
  return writePlist({ DigestChallenge: '' });
}
