/** Transaction attributes of RFC 8894 section 3.2.1. */
export const SCEP = {
  messageType: '2.16.840.1.113733.1.9.2',
  pkiStatus: '2.16.840.1.113733.1.9.3',
  failInfo: '2.16.840.1.113733.1.9.4',
  senderNonce: '2.16.840.1.113733.1.9.5',
  recipientNonce: '2.16.840.1.113733.1.9.6',
  transactionId: '2.16.840.1.113733.1.9.7',
} as const;

export const MESSAGE_TYPE = { certRep: '3', renewalReq: '17', pkcsReq: '19', certPoll: '20' } as const;
export const PKI_STATUS = { success: '0', failure: '2', pending: '3' } as const;

/** failInfo of RFC 8894 section 3.2.1.4. */
export const FAIL_INFO = { badAlg: '0', badMessageCheck: '1', badRequest: '2', badTime: '3', badCertId: '4' } as const;
export type FailInfo = keyof typeof FAIL_INFO;

/** Answer to GetCACaps. `Renewal` is not offered yet. */
export const SCEP_CAPS = 'SHA-1\nSHA-256\nSHA-512\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation\n';
/** The same where SHA-1 and DES are refused. */
export const SCEP_CAPS_MODERN = 'SHA-256\nSHA-512\nAES\nSCEPStandard\nPOSTPKIOperation\n';
