import { readTimeStampReply } from '#wire';
import { Finding } from '../../verify/finding.ts';
import { readStamp } from '../../verify/stamp.ts';
import { Broken, type Target } from './target.ts';
import { DER_WORDS } from './words.ts';

/** What `openssl ts -reply` answered for SHA-256 of `stamped` with the nonce ABCDEFGH. */
const REPLY = Buffer.from(
  [
    'MIIE7TADAgEAMIIE5AYJKoZIhvcNAQcCoIIE1TCCBNECAQMxDzANBglghkgBZQMEAgEFADByBgsqhkiG9w0BCRABBKBjBGEwXwIB',
    'AQYEKgMEATAxMA0GCWCGSAFlAwQCAQUABCDKL+gGgFhMwT6oKIwModtxWeYvUjxzd173zuzQYr8VoQIBAhgPMjAyNjExMjUyMDAw',
    'MjNaMAMCAQECCEFCQ0RFRkdIoIIDFDCCAY8wggE0oAMCAQICAQIwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJVGVzdCByb290MB4X',
    'DTI2MTEyNTIwMDAyM1oXDTI2MTIyNTIwMDAyM1owEzERMA8GA1UEAwwIVGVzdCBUU0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC',
    'AATkQSCqdUXL/e0BM7aMAagH4Vkx6thJNRlmLqg4yD2D34BRMsaMpj6HmyJuA5dKk+5j8oh3aT0peiDJGCfDXtx2o3gwdjAMBgNV',
    'HRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIHgDAWBgNVHSUBAf8EDDAKBggrBgEFBQcDCDAdBgNVHQ4EFgQUbw6EittqCRWdf6PXxIea',
    'zh6hOYIwHwYDVR0jBBgwFoAU9URtQXoTNFEZxi0IiRRw2lYPwUEwCgYIKoZIzj0EAwIDSQAwRgIhAN6ku93kP6eIaJQZ7pdEeLjp',
    'bLLV+w7NgG8CgALWR8ShAiEAiPNgxKQ4Xen9ZgzHmkPyQ5RbQvSP2EViqhIfNdAuN3EwggF9MIIBI6ADAgECAhQNKuHKbCSol7Hf',
    'V2pNUdaJQDYSejAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlUZXN0IHJvb3QwHhcNMjYxMTI1MjAwMDIzWhcNMjYxMjI1MjAwMDIz',
    'WjAUMRIwEAYDVQQDDAlUZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARi/jOzfXUhbayn2RE91EbOS9atx0x5u1Go',
    '3mwf/rKYZwRwy/DMFBjEv3TN75ENBbfQnRcL+QUkOYHhgP5gfMqio1MwUTAdBgNVHQ4EFgQU9URtQXoTNFEZxi0IiRRw2lYPwUEw',
    'HwYDVR0jBBgwFoAU9URtQXoTNFEZxi0IiRRw2lYPwUEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBgmwSywMTV',
    '+qlbwbX7IqVECqLssXF6wobT+VMjT4+3hQIhALZ+ok9l0fU7edEEmWUat8D8LXCzgP/PtRmQDvYf9xGrMYIBLTCCASkCAQEwGTAU',
    'MRIwEAYDVQQDDAlUZXN0IHJvb3QCAQIwDQYJYIZIAWUDBAIBBQCggaQwGgYJKoZIhvcNAQkDMQ0GCyqGSIb3DQEJEAEEMBwGCSqG',
    'SIb3DQEJBTEPFw0yNjExMjUyMDAwMjNaMC8GCSqGSIb3DQEJBDEiBCDTmf7+j4t0PF+BQxsH76p6Ikxrr/dgnE6tYdps1ZVINDA3',
    'BgsqhkiG9w0BCRACLzEoMCYwJDAiBCB5hWHPjM3Upv5miX+/GPuKsqkrOf+yeS99+DEDhDotVDAKBggqhkjOPQQDAgRHMEUCIF91',
    'L1+Io7P3VIRCMfDLm+ad5lJXg/kKrdgByYudeUKoAiEArv71gMVhcsCM9s7yiBR0qkJdvEL+CAPCq6x5gmubYyg=',
  ].join(''),
  'base64',
);

/** Replies of time stamp authorities: core's reader, and the verifier's, which shares nothing with it and must not differ. */
export function timeStampTarget(): Target {
  return {
    ...{ name: 'time-stamp', form: 'der', maxBytes: 64 * 1024, words: DER_WORDS },
    seeds: [REPLY, Buffer.from('3003020102', 'hex'), Buffer.from('30053003020102', 'hex')],
    parse: (input) => {
      const verifier = theirs(input);
      const stamp = readTimeStampReply(input);
      const ours = stamp.digest.toString('hex') === STAMPED;
      if (verifier === 'taken' && !ours) throw new Broken('the verifier takes what core refuses');
      if (!Number.isFinite(stamp.time)) throw new Broken('a time that is none');
      const year = new Date(stamp.time).getUTCFullYear();
      return `${verifier} ${ours} ${stamp.nonce?.length ?? 'none'} ${year}`;
    },
  };
}

const STAMPED = 'ca2fe80680584cc13ea8288c0ca1db7159e62f523c73775ef7ceecd062bf15a1';

function theirs(input: Buffer): string {
  try {
    readStamp(input, Buffer.from('stamped'));
    return 'taken';
  } catch (error) {
    if (error instanceof Finding) return 'refused';
    throw error;
  }
}
