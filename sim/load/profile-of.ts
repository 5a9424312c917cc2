import { randomUUID } from 'node:crypto';
import { encodePlist } from '../plist.ts';
import { OWN_SCEP } from './own-identities.ts';

/** A server without enrolment links: what its profile would say. */
export interface RawServer {
  readonly serverUrl: string;
  readonly checkInUrl?: string;
  readonly topic: string;
  /** Absent: the simulation signs the identities itself. */
  readonly scepUrl?: string;
  readonly challenge?: string;
}

/** The enrolment profile of a server that hands out none. */
export function profileOf(server: RawServer): Buffer {
  const [identity, mdm] = [randomUUID().toUpperCase(), randomUUID().toUpperCase()];
  const payload = (type: string, uuid: string, more: object) => ({
    ...{ PayloadType: type, PayloadVersion: 1, PayloadUUID: uuid, PayloadIdentifier: `org.example.${type}` },
    ...more,
  });
  return encodePlist(
    payload('Configuration', randomUUID().toUpperCase(), {
      PayloadDisplayName: 'Simulated enrolment',
      PayloadContent: [
        payload('com.apple.security.scep', identity, {
          PayloadContent: {
            URL: server.scepUrl ?? OWN_SCEP,
            Challenge: server.challenge ?? '',
            ...{ Keysize: 2048, 'Key Type': 'RSA', Subject: [[['CN', '%SerialNumber%']]] },
          },
        }),
        payload('com.apple.mdm', mdm, {
          ...{
            IdentityCertificateUUID: identity,
            Topic: server.topic,
            ServerURL: server.serverUrl,
            AccessRights: 8191,
          },
          ...(server.checkInUrl === undefined ? {} : { CheckInURL: server.checkInUrl }),
          ...{ SignMessage: true, CheckOutWhenRemoved: true },
        }),
      ],
    }),
  );
}
