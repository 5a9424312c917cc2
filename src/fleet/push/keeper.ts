import { readFileSync, statSync } from 'node:fs';
import type { Pool } from '#store';
import { FleetError } from '../error.ts';
import { type PushCertificate, parsePushCertificate } from './certificate.ts';
import { sendChannelPushes } from './channels.ts';
import { PushClient } from './client.ts';
import type { PushEndpoint } from './connection.ts';
import { pushAgain, refuseCertificate, sendPushes, watchCertificate } from './push.ts';

/** After a refusal APNs is asked again with the canary alone, this often. */
const REFUSED_PAUSE_MS = 60_000;

export interface KeeperOptions {
  /** The push certificate with its key, PEM; it may come, change and go while core runs. */
  readonly file: string;
  readonly endpoint: PushEndpoint;
  /** The installation's topic: phones were enrolled with it, so no other wakes them. */
  readonly topic: string;
  readonly now: () => number;
}

/** Core's side of APNs: loads the certificate when it appears or changes, sends what is due, stops when it is refused. */
export class PushKeeper {
  readonly #pool: Pool;
  readonly #options: KeeperOptions;
  #seen = '';
  #client: PushClient | undefined;
  /** When APNs last refused us; nothing is sent until the canary comes back. */
  #refusedAt: number | undefined;

  constructor(pool: Pool, options: KeeperOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** Looks whether the file changed and takes it into use. Returns 1 if it did: there may be something to send now. */
  async look(): Promise<number> {
    const mark = markOf(this.#options.file);
    if (mark === this.#seen) return 0;
    const found = mark === '' ? 'NotInstalled' : read(this.#options.file);
    this.#client?.close();
    this.#client = undefined;
    this.#refusedAt = undefined;
    const refusal = typeof found === 'string' ? found : this.#unfit(found);
    if (refusal !== undefined) {
      const known = typeof found === 'string' ? undefined : factsOf(found);
      // A missing certificate is no refusal on a new installation, only where there was one.
      if (refusal !== 'NotInstalled' || this.#seen !== '' || (await this.#hadOne())) {
        await refuseCertificate(this.#pool, refusal, known);
      }
    } else {
      this.#client = new PushClient(this.#options.endpoint, found as PushCertificate, this.#options.now);
      await this.#watch(this.#client);
    }
    // Set last: if the database failed, the same file is taken up again at the next look.
    this.#seen = mark;
    return 1;
  }

  #unfit({ certificate, topic }: PushCertificate): string | undefined {
    if (topic !== this.#options.topic) return 'OtherTopic';
    return this.#options.now() > certificate.notAfter ? 'CertificateExpired' : undefined;
  }

  async #hadOne(): Promise<boolean> {
    const { rows } = await this.#pool.query<{ had: boolean }>(
      'select exists (select from fleet.push_certificate) as had',
    );
    return rows[0]!.had;
  }

  async #watch(client: PushClient): Promise<void> {
    const canary = await watchCertificate(this.#pool, client, this.#options.now());
    this.#refusedAt = canary === 'accepted' ? undefined : this.#options.now();
  }

  /** Tries the certificate and counts its days: hourly. */
  async watch(): Promise<number> {
    if (this.#client !== undefined) await this.#watch(this.#client);
    return 0;
  }

  /** Sends what is due; returns how many got through. */
  async send(): Promise<number> {
    const client = this.#client;
    if (client === undefined) return 0;
    if (this.#refusedAt !== undefined) {
      if (this.#options.now() - this.#refusedAt < REFUSED_PAUSE_MS) return 0;
      await this.#watch(client);
      if (this.#refusedAt !== undefined) return 0;
    }
    const { sent, refused } = await sendPushes(this.#pool, client, this.#options.now);
    if (refused !== undefined) {
      this.#refusedAt = this.#options.now();
      return sent;
    }
    return sent + (await sendChannelPushes(this.#pool, client, this.#options.now));
  }

  /** Wakes again who was woken hours ago in vain. */
  again(): Promise<number> {
    return pushAgain(this.#pool);
  }

  close(): void {
    this.#client?.close();
  }
}

/** Changes whenever the file is replaced or rewritten; empty if there is none. */
function markOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}

function read(file: string): PushCertificate | string {
  try {
    return parsePushCertificate(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof FleetError) return 'CertificateUnreadable';
    // Replaced this very moment, or not readable for us.
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
      ? 'NotInstalled'
      : 'CertificateUnreadable';
  }
}

const factsOf = ({ certificate, topic }: PushCertificate) => ({
  topic,
  sha256: certificate.sha256,
  notAfter: certificate.notAfter,
});
