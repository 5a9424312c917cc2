import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inventPeople, newPhone, ownersDeviceName, type PushService, peopleCsv, VppService } from '#sim';
import { issueCertificate, makeCa, toPem, writePlist } from '#wire';

const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Puts into a directory the files that the docs' commands are given. Everything in them is invented. */
export function layOut(dir: string, push: PushService, topic: string): void {
  const put = (name: string, text: string) => writeFileSync(join(dir, name), text, { mode: 0o600 });
  const people = inventPeople(5);
  put('people.csv', peopleCsv(people));
  put('push.pem', push.issue(topic));
  put('apps-token.txt', new VppService().token);
  put('client-secret.txt', 'an invented secret of a client\n');
  const key = ec().privateKey;
  const ca = { key, certificate: makeCa(key, { commonName: 'Old authority', days: 3650, now: Date.now() }) };
  put('old-ca.pem', toPem('CERTIFICATE', ca.certificate.der));
  const phones = people.slice(0, 2).map((owner) => {
    const state = newPhone({ deviceName: ownersDeviceName(owner), phoneNumber: owner.mobile });
    const spki = createPublicKey(ec().privateKey).export({ format: 'der', type: 'spki' });
    const { der } = issueCertificate(ca, {
      ...{ spki, commonName: state.udid, days: 300, usage: 'device', now: Date.now() },
    });
    const who = { UDID: state.udid, Topic: topic };
    return {
      state,
      certificate: toPem('CERTIFICATE', der),
      authenticate: writePlist({
        ...{ MessageType: 'Authenticate', ...who, SerialNumber: state.serial, OSVersion: '17.4' },
        ...{ BuildVersion: '21E219', ProductName: 'iPhone15,2', DeviceName: state.deviceName },
      }).toString(),
      tokenUpdate: writePlist({
        ...{ MessageType: 'TokenUpdate', ...who, PushMagic: state.pushMagic },
        ...{ Token: Buffer.from(state.pushToken, 'base64'), UnlockToken: Buffer.from(state.unlockToken, 'base64') },
      }).toString(),
    };
  });
  const [row, archived] = phones as [(typeof phones)[0], (typeof phones)[0]];
  put(
    'fleet.json',
    JSON.stringify({
      ...{ id: row.state.udid, type: 'Device', enabled: true, identity_cert: row.certificate, sha256: null },
      ...{ authenticate: row.authenticate, token_update: row.tokenUpdate },
      ...{ unlock_token: row.state.unlockToken, bootstrap_token_b64: null },
    }),
  );
  const folder = join('check-ins', archived.state.udid);
  mkdirSync(join(dir, folder), { recursive: true });
  put(join(folder, 'authenticate.plist'), archived.authenticate);
  put(join(folder, 'tokenupdate.plist'), archived.tokenUpdate);
  put(join(folder, 'certificate.pem'), archived.certificate);
}
