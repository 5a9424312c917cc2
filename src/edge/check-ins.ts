import { sealWrite } from '#seal';
import type { Pool } from '#store';
import {
  bootstrapTokenAnswer,
  type Certificate,
  type CheckIn,
  digestChallengeAnswer,
  type Personal,
  parseCheckIn,
  tokenAnswer,
  WireError,
} from '#wire';
import { type Answer, gone, notFound, ok, refused } from './answer.ts';
import { declarative } from './declarative.ts';
import type { DeviceDoors } from './device.ts';
import { openRelease, reportRelease } from './release.ts';
import { channelKey } from './secrets.ts';
import { ACCOUNT_SERVICE, serviceToken } from './service-token.ts';

/** What edge answers where Apple leaves it to the organisation. */
export interface DevicePolicy {
  /** Whether users of a device may have a channel of their own by UserAuthenticate; 410 declines. */
  readonly userAuthenticate: boolean;
  /** Whether a bootstrap token that was released on glass is handed to its device. */
  readonly bootstrapToken: boolean;
}

/** Nothing is offered that nobody asked for. */
export const DEFAULT_POLICY: DevicePolicy = { userAuthenticate: false, bootstrapToken: true };

interface Identified {
  readonly verdict: string;
  readonly handle: string | null;
}

/** `/checkin`: every message of Apple's check-in protocol. */
export async function checkIn(doors: DeviceDoors, signer: Certificate, body: Uint8Array): Promise<Answer> {
  const message = parseCheckIn(body);
  await doors.turns.acquaint(signer.sha256, message.udid);
  if (message.type === 'DeclarativeManagement' && message.channel === undefined)
    return declarative(doors, signer, message);
  const { verdict, handle } = await record(doors, signer, message);
  if (verdict !== 'own' || handle === null) {
    doors.refusals.count(verdict === 'held' ? 'claim' : verdict === 'too-often' ? 'too-often' : 'certificate');
    return refused;
  }
  // A user's message says nothing of the device that its own channel does not say.
  if (message.channel === undefined) await seal(doors, handle, message.personal);
  return answer(doors, handle, message);
}

/** What a check-in changes, by itself. */
async function record(doors: DeviceDoors, signer: Certificate, message: CheckIn): Promise<Identified> {
  const { pool, secrets } = doors;
  const findings = [...message.findings];
  const who = [signer.sha256, message.udid] as const;
  switch (message.type) {
    case 'Authenticate': {
      const { serial, model, productName, osVersion, buildVersion } = message;
      const facts = JSON.stringify({ serial, model, productName, osVersion, buildVersion });
      const params = [...who, message.topic, facts, findings];
      return first(pool, 'select * from edge.authenticate($1, $2, $3, $4, $5)', params).catch((error: unknown) =>
        refuseMismatch(pool, signer, error),
      );
    }
    case 'TokenUpdate': {
      const { topic, token, pushMagic, awaitingConfiguration, channel } = message;
      return first(pool, 'select * from edge.token_update($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
        ...[...who, channelKey(secrets, message), channel?.kind ?? null, topic, Buffer.from(token), pushMagic],
        ...[awaitingConfiguration, findings],
      ]);
    }
    case 'CheckOut':
      return first(pool, 'select * from edge.check_out($1, $2, $3)', [...who, channelKey(secrets, message)]);
    default:
      return first(pool, 'select * from edge.identify($1, $2, $3)', [...who, findings]);
  }
}

async function answer(doors: DeviceDoors, handle: string, message: CheckIn): Promise<Answer> {
  const { pool, policy } = doors;
  const asked = (what: string, said: string) => pool.query('select edge.asked($1, $2, $3)', [handle, what, said]);
  switch (message.type) {
    case 'UserAuthenticate':
      await asked('user-authenticate', policy.userAuthenticate ? 'accepted' : 'declined');
      if (!policy.userAuthenticate) return { ...gone, body: Buffer.alloc(0) };
      return message.answered ? ok() : ok(digestChallengeAnswer());
    case 'SetBootstrapToken':
      if (message.channel !== undefined) return ok();
      if (!message.personal.has('bootstrap-token')) await pool.query('select edge.forget_bootstrap($1)', [handle]);
      await asked('set-bootstrap-token', message.personal.has('bootstrap-token') ? 'sealed' : 'withdrawn');
      return ok();
    case 'GetBootstrapToken': {
      const token = policy.bootstrapToken
        ? await openRelease(doors, handle, 'bootstrap-token', doors.clock())
        : undefined;
      await asked('get-bootstrap-token', token === undefined ? 'nothing' : 'released');
      if (token === undefined) return ok();
      await reportRelease(pool, handle, 'bootstrap-token', 'opened');
      return ok(bootstrapTokenAnswer(token));
    }
    case 'GetToken':
      // Apple: 400 for a service that is not known. Tokens are signed with the key of our server at Apple, which is core's: the
      // process that faces the internet must not hold it.
      return getToken(doors, handle, message.service, asked);
    case 'ReturnToService':
      await asked('return-to-service', 'noted');
      return ok();
    case 'DeclarativeManagement':
      // Declarations are for devices; a user's channel has none.
      return notFound;
    default:
      return ok();
  }
}

async function getToken(
  { pool }: DeviceDoors,
  handle: string,
  service: string,
  asked: (what: string, said: string) => Promise<unknown>,
): Promise<Answer> {
  const token = service === ACCOUNT_SERVICE ? await serviceToken(pool, handle, service) : undefined;
  await asked(`get-token ${service}`, token === undefined ? 'refused' : 'signed');
  return token === undefined ? refused : ok(tokenAnswer(token));
}

/** A device that was attested as another one: Authenticate was undone as a whole (migrations/0025_acme.sql), this is kept. */
async function refuseMismatch(pool: Pool, signer: Certificate, error: unknown): Promise<never> {
  if (!(error instanceof Error && 'code' in error && error.code === 'BZ001')) throw error;
  await pool.query('select edge.attestation_mismatch($1)', [signer.sha256]);
  throw new WireError('attestation', 'The device is not the one that its key was attested for.', { cause: error });
}

async function first(pool: Pool, sql: string, params: readonly unknown[]): Promise<Identified> {
  const { rows } = await pool.query<Identified>(sql, [...params]);
  return rows[0] ?? { verdict: 'unknown', handle: null };
}

/** Seals what a message says of a person or its device's secrets; it exists in clear only inside this call. */
export async function seal(
  doors: Pick<DeviceDoors, 'pool' | 'keys' | 'pen'>,
  handle: string,
  personal: Personal,
): Promise<void> {
  for (const [field, value] of personal) {
    const { rows } = await doors.pool.query<{ version: number }>('select edge.next_version($1, $2) as version', [
      handle,
      field,
    ]);
    const { version } = rows[0]!;
    const outer = sealWrite({ keys: doors.keys, pen: doors.pen, subject: handle, field, version, value });
    await doors.pool.query('select edge.put_sealed($1, $2, $3, $4)', [handle, field, version, outer]);
  }
}
