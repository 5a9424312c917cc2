import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encryptCms } from './cms.ts';

/** A device that an organisation bought. */
export interface BoughtDevice {
  readonly serial_number: string;
  readonly model: string;
  readonly device_family: string;
}

interface Held extends BoughtDevice {
  profile_status: 'empty' | 'assigned' | 'removed';
  profile_uuid?: string;
}

interface Change {
  readonly device: Held;
  readonly op: 'added' | 'modified' | 'deleted';
  readonly at: string;
}

export interface DepFault {
  times: number;
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const quote = (text: string) =>
  [...Buffer.from(text)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9._~-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

/** What the service says of people with every account. */
export const DEP_CONTACT = {
  admin_id: 'wilhelmina.achterberg@example.org',
  facilitator_id: 'ottilie.brandvold@example.org',
  org_email: 'devices.of.hedwig@example.org',
  org_phone: '+44 7700 900451',
  org_address: '17 Cordwainer Passage, Ostermouth',
};

/**
 * Plays Apple's device assignment service by its rules: OAuth 1.0a on `/session`, short sessions in a header, cursors that
 * end, pages, operations since a cursor, profiles. Hands out server tokens as Apple Business Manager does: S/MIME.
 */
export class DepService {
  /** By path; each use counts one down. */
  readonly faults = new Map<string, DepFault>();
  readonly requests: string[] = [];
  readonly profiles = new Map<string, Record<string, unknown>>();
  sessions = 0;
  /** Requests that one session is good for. */
  sessionLength = 5;
  #session = { token: '', left: 0 };
  readonly #nonces = new Set<string>();
  readonly #held = new Map<string, Held>();
  #changes: Change[] = [];
  /** Cursors that were given: where each goes on, and in which list. */
  readonly #cursors = new Map<string, { list: 'fetch' | 'sync'; at: number; serials: readonly string[] }>();
  readonly #secrets = {
    consumer_key: `CK_${randomUUID()}`,
    consumer_secret: `CS_${randomUUID()}`,
    access_token: `AT_${randomUUID()}`,
    access_secret: `AS_${randomUUID()}`,
  };
  #server: Server | undefined;

  async start(): Promise<string> {
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** A server token for whoever holds the key of this certificate (DER), as the file that an admin downloads. */
  token(certificate: Buffer, days = 365): Buffer {
    const expiry = new Date(Date.now() + days * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z');
    const json = JSON.stringify({ ...this.#secrets, access_token_expiry: expiry });
    const inner = `Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN MESSAGE-----\r\n${json}\r\n-----END MESSAGE-----\r\n`;
    const lines =
      encryptCms(Buffer.from(inner), certificate, 'des-ede3-cbc')
        .toString('base64')
        .match(/.{1,76}/g) ?? [];
    return Buffer.from(
      `Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="smime.p7m"\r\n\r\n${lines.join('\r\n')}\r\n`,
    );
  }

  buy(...devices: BoughtDevice[]): void {
    for (const one of devices) {
      const device: Held = { ...one, profile_status: 'empty' };
      this.#held.set(one.serial_number, device);
      this.#note(device, 'added');
    }
  }

  release(serial: string): void {
    const device = this.#held.get(serial)!;
    this.#held.delete(serial);
    this.#note(device, 'deleted');
  }

  device(serial: string): Readonly<Held> | undefined {
    return this.#held.get(serial);
  }

  expireCursors(): void {
    this.#cursors.clear();
  }

  #note(device: Held, op: Change['op']): void {
    this.#changes.push({ device: { ...device }, op, at: new Date(Date.now() + this.#changes.length).toISOString() });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const path = (request.url ?? '').split('?')[0]!;
    this.requests.push(`${request.method} ${path}`);
    const answer = (status: number, body: string | object, headers: Readonly<Record<string, string>> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json;charset=UTF8', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    const fault = this.faults.get(path);
    if (fault !== undefined && fault.times > 0) {
      fault.times -= 1;
      return answer(fault.status, fault.body ?? '', fault.headers);
    }
    if (path === '/session') {
      if (!this.#signed(request)) return answer(401, 'oauth_problem=signature_invalid');
      this.#session = { token: randomUUID(), left: this.sessionLength };
      this.sessions += 1;
      return answer(200, { auth_session_token: this.#session.token });
    }
    const { token, left } = this.#session;
    if (request.headers['x-adm-auth-session'] !== token || left <= 0) return answer(401, 'UNAUTHORIZED');
    this.#session.left -= 1;
    if (request.headers['x-server-protocol-version'] === undefined) return answer(400, 'MALFORMED_REQUEST_HEADER');
    const body = parts.length === 0 ? {} : (JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>);
    const [status, said] = this.#act(`${request.method} ${path}`, body);
    answer(status, said);
  }

  /** OAuth 1.0a with HMAC-SHA1 (RFC 5849), worked out anew from the header. */
  #signed(request: IncomingMessage): boolean {
    const header = request.headers.authorization ?? '';
    const said = new Map(
      [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name!, decodeURIComponent(value!)] as const),
    );
    const nonce = said.get('oauth_nonce') ?? '';
    if (!header.startsWith('OAuth ') || nonce === '' || this.#nonces.has(nonce)) return false;
    if (Math.abs(Number(said.get('oauth_timestamp')) - Date.now() / 1000) > 300) return false;
    if (said.get('oauth_consumer_key') !== this.#secrets.consumer_key) return false;
    if (said.get('oauth_token') !== this.#secrets.access_token || said.get('oauth_version') !== '1.0') return false;
    this.#nonces.add(nonce);
    const pairs = [...said]
      .filter(([name]) => name.startsWith('oauth_') && name !== 'oauth_signature')
      .map(([name, value]) => `${quote(name)}=${quote(value)}`)
      .sort();
    const base = `GET&${quote(`http://${request.headers.host}/session`)}&${quote(pairs.join('&'))}`;
    const key = `${quote(this.#secrets.consumer_secret)}&${quote(this.#secrets.access_secret)}`;
    const right = createHmac('sha1', key).update(base).digest();
    const given = Buffer.from(said.get('oauth_signature') ?? '', 'base64');
    return given.length === right.length && timingSafeEqual(given, right);
  }

  #act(what: string, body: Record<string, unknown>): [number, string | object] {
    switch (what) {
      case 'GET /account':
        return [
          200,
          { server_name: 'Bartizan', server_uuid: randomUUID(), org_name: 'Example Agency', ...DEP_CONTACT },
        ];
      case 'POST /server/devices':
        return this.#page('fetch', body);
      case 'POST /devices/sync':
        return body['cursor'] === undefined ? [400, 'CURSOR_REQUIRED'] : this.#page('sync', body);
      case 'POST /profile': {
        const uuid = randomUUID().replaceAll('-', '').toUpperCase();
        this.profiles.set(uuid, body);
        return [200, { profile_uuid: uuid, devices: {} }];
      }
      case 'POST /profile/devices':
      case 'DELETE /profile/devices': {
        const uuid = body['profile_uuid'] as string | undefined;
        const give = what.startsWith('POST');
        if (give && !this.profiles.has(uuid ?? '')) return [400, 'PROFILE_NOT_FOUND'];
        const said = (body['devices'] as string[]).map((serial) => {
          const device = this.#held.get(serial);
          if (device === undefined) return [serial, 'NOT_ACCESSIBLE'] as const;
          device.profile_status = give ? 'assigned' : 'removed';
          if (give) device.profile_uuid = uuid!;
          else delete device.profile_uuid;
          this.#note(device, 'modified');
          return [serial, 'SUCCESS'] as const;
        });
        return [200, { ...(give ? { profile_uuid: uuid } : {}), devices: Object.fromEntries(said) }];
      }
      default:
        return [404, 'NOT_FOUND'];
    }
  }

  #page(list: 'fetch' | 'sync', body: Record<string, unknown>): [number, string | object] {
    const limit = Math.min(Number(body['limit'] ?? 100), 1000);
    const given = body['cursor'] as string | undefined;
    const known = given === undefined ? undefined : this.#cursors.get(given);
    if (given !== undefined && known === undefined) return [400, 'EXPIRED_CURSOR'];
    if (list === 'fetch' && known?.list === 'sync') return [400, 'EXHAUSTED_CURSOR'];
    const cursor = randomUUID();
    if (list === 'fetch') {
      const serials = known?.serials ?? [...this.#held.keys()];
      const from = known?.at ?? 0;
      const devices = serials.slice(from, from + limit).flatMap((serial) => this.#held.get(serial) ?? []);
      const more = from + limit < serials.length;
      // After the last page the cursor goes on with what changed since.
      this.#cursors.set(
        cursor,
        more ? { list, at: from + limit, serials } : { list: 'sync', at: this.#changes.length, serials },
      );
      return [200, { devices: devices.map(by), cursor, more_to_follow: more, fetched_until: new Date().toISOString() }];
    }
    const from = known!.at;
    const changes = this.#changes.slice(from, from + limit);
    const more = from + limit < this.#changes.length;
    this.#cursors.set(cursor, { list: 'sync', at: from + changes.length, serials: [] });
    const devices = changes.map(({ device, op, at }) => ({ ...by(device), op_type: op, op_date: at }));
    return [200, { devices, cursor, more_to_follow: more, fetched_until: new Date().toISOString() }];
  }
}

/** Who assigned a device is an e-mail address: a planted value that must not be kept. */
const by = (device: Held) => ({ ...device, device_assigned_by: 'ada.purchaser@example.org', asset_tag: 'Ada’s' });
