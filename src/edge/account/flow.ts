import { HANDLE, newDeviceHandle, newToken, sha256 } from '#base';
import { parseMachineInfo, WireError } from '#wire';
import { type Answer, notFound, ok, refused } from '../answer.ts';
import { type EnrolDoors, profileAnswer } from '../enrol.ts';
import { EdgeError } from '../error.ts';
import type { EdgeSecrets } from '../secrets.ts';
import { Box, sameText } from './box.ts';
import { Oidc } from './oidc.ts';
import { boxAccount } from './renewal.ts';
import type { AccountSettings } from './settings.ts';

const SIGN_IN_MS = 10 * 60_000;
/** From the end of the sign-in to the second request of the device. */
const TOKEN_MS = 5 * 60_000;
const COOKIE = 'bartizan_account';
/** A Managed Apple Account looks like an address; whatever else is put in a profile is refused. */
const ACCOUNT = /^[^\s<>&"'@]{1,128}@[A-Za-z0-9.-]{1,128}$/;

export type AccountDoors = EnrolDoors & { readonly clock: () => number; readonly secrets: EdgeSecrets };

interface SignIn {
  readonly verifier: string;
  readonly nonce: string;
  readonly tie: string;
}

interface Token {
  readonly account: string;
  readonly person: string;
  readonly holder: string | null;
}

/**
 * Account-driven enrolment, of users and of whole devices (Apple: “simple authentication”): discovery, the 401 that is meant, sign-in at the
 * organisation's identity provider, and the profile. Between the steps everything travels in sealed boxes; the account's
 * name exists in this process's memory and in the profile, and is written nowhere.
 */
export class AccountFlow {
  readonly #doors: AccountDoors;
  readonly #settings: AccountSettings;
  readonly #oidc: Oidc;
  readonly #box: Box;

  constructor(doors: AccountDoors, settings: AccountSettings, secret: Uint8Array) {
    this.#doors = doors;
    this.#settings = settings;
    this.#oidc = new Oidc(settings);
    this.#box = new Box(secret);
  }

  /**
   * `/.well-known/com.apple.remotemanagement`: by the kind of device and nothing else; who asks is not even read. A kind that
   * is the organisation's enrols whole (account-driven device enrolment), any other as its holder's own.
   */
  discover(family: string | null): Answer {
    const { origin } = this.#doors;
    const whole = this.#settings.deviceEnrolment?.some((one) => one === 'all' || one === family) === true;
    const server = whole
      ? { Version: 'mdm-adde', BaseURL: `${origin}/account/device` }
      : { Version: 'mdm-byod', BaseURL: `${origin}/account` };
    return ok(Buffer.from(JSON.stringify({ Servers: [server] })), 'application/json');
  }

  /** `POST /account` and `POST /account/device`: 401 tells the device where to sign in; with the token it brings back, the profile. */
  async enrol(
    body: Uint8Array,
    authorization: string | undefined,
    ownership: 'personal' | 'organisation' = 'personal',
  ): Promise<Answer> {
    // Which kinds of devices are the organisation's is the operator's word; the address alone makes none of them so.
    if (ownership === 'organisation' && (this.#settings.deviceEnrolment ?? []).length === 0) return notFound;
    const findings = readDevice(body);
    const [, bearer] = /^Bearer ([A-Za-z0-9_-]+)$/.exec(authorization ?? '') ?? [];
    if (bearer === undefined) return this.#ask();
    const token = this.#box.open<Token>('token', bearer, this.#doors.clock());
    if (token === undefined) return this.#refuse();
    const challenge = newToken();
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const { rows } = await this.#doors.pool.query<{ verdict: string; id: string | null }>(
        'select * from edge.account_enrol($1, $2, $3, $4, $5, $6, $7, $8)',
        [
          ...[sha256(bearer), Buffer.from(token.person, 'base64url'), token.holder, newDeviceHandle()],
          ...[sha256(newToken()), sha256(challenge), findings, ownership],
        ],
      );
      const { verdict, id } = rows[0]!;
      if (verdict === 'made' && id !== null) {
        const account = { managedAppleId: token.account, mode: ownership === 'personal' ? 'BYOD' : 'ADDE' } as const;
        const box = await boxAccount(this.#doors, id, account);
        return profileAnswer(this.#doors, id, challenge, { ...account, box });
      }
      if (verdict !== 'taken') break;
    }
    return this.#refuse();
  }

  /** Here alone 401 is meant: the device is not managed yet, and starts its sign-in on it. */
  #ask(): Answer {
    const url = `${this.#doors.origin}/account/sign-in`;
    return { status: 401, headers: { 'WWW-Authenticate': `Bearer method="apple-as-web", url="${url}"` } };
  }

  #refuse(): Answer {
    this.#doors.refusals.count('account');
    return { ...refused, status: 403 };
  }

  /** `GET /account/sign-in`: on to the identity provider. */
  async signIn(hint: string | null): Promise<Answer> {
    const [cookie, verifier, nonce] = [newToken(), newToken(), newToken()];
    const value: SignIn = { verifier, nonce, tie: this.#box.tie(cookie) };
    const state = this.#box.seal('sign-in', value, this.#doors.clock() + SIGN_IN_MS);
    const known = hint !== null && ACCOUNT.test(hint) ? hint : null;
    const location = await this.#oidc.signInUrl({ redirect: this.#redirect(), state, nonce, verifier, hint: known });
    const secure = this.#doors.origin.startsWith('https:') ? '; Secure' : '';
    const attributes = `Path=/account; Max-Age=${SIGN_IN_MS / 1000}; HttpOnly; SameSite=Lax${secure}`;
    return { status: 302, headers: { Location: location, 'Set-Cookie': `${COOKIE}=${cookie}; ${attributes}` } };
  }

  #redirect(): string {
    return `${this.#doors.origin}/account/signed-in`;
  }

  /** `GET /account/signed-in`: the identity provider sent the browser back; it goes on to the device with a token. */
  async signedIn(query: URLSearchParams, cookies: string | undefined): Promise<Answer> {
    const now = this.#doors.clock();
    const [, cookie = ''] = new RegExp(`(?:^|; )${COOKIE}=([A-Za-z0-9_-]{43})(?:;|$)`).exec(cookies ?? '') ?? [];
    const begun = this.#box.open<SignIn>('sign-in', query.get('state') ?? '', now);
    const code = query.get('code');
    if (begun === undefined || code === null || !sameText(begun.tie, this.#box.tie(cookie))) return this.#refuse();
    const { verifier, nonce } = begun;
    let claims: Awaited<ReturnType<Oidc['claims']>>;
    try {
      claims = await this.#oidc.claims({ code, verifier, nonce, redirect: this.#redirect(), now });
    } catch (error) {
      if (error instanceof EdgeError) return this.#refuse();
      throw error;
    }
    const account = claims[this.#settings.accountClaim];
    const handle = this.#settings.handleClaim === undefined ? undefined : claims[this.#settings.handleClaim];
    if (typeof account !== 'string' || !ACCOUNT.test(account) || claims['email_verified'] === false)
      return this.#refuse();
    const value: Token = {
      account,
      person: this.#box.person(this.#settings.issuer, String(claims['sub'])).toString('base64url'),
      holder: typeof handle === 'string' && HANDLE.test(handle) ? handle : null,
    };
    const token = this.#box.seal('token', value, now + TOKEN_MS);
    const location = `apple-remotemanagement-user-login://authentication-results?access-token=${token}`;
    return { status: 308, headers: { Location: location, 'Set-Cookie': `${COOKIE}=; Path=/account; Max-Age=0` } };
  }
}

/** The device's message: signed, or (as Apple's own example has it) a bare property list. Nothing of it is kept but findings. */
function readDevice(body: Uint8Array): string[] {
  if (body[0] !== 0x30) {
    if (!Buffer.from(body.subarray(0, 256)).includes('<plist'))
      throw new WireError('machine-info', 'The device’s message cannot be read.');
    return ['account-message-unsigned'];
  }
  parseMachineInfo(body, []);
  return [];
}

/** The routes of account enrolment, or 404 for all where nobody set it up. */
export function accountRoutes(flow: AccountFlow | undefined) {
  const when = (then: (on: AccountFlow) => Answer | Promise<Answer>) => async () =>
    flow === undefined ? notFound : then(flow);
  return {
    discover: (family: string | null) => when((on) => on.discover(family))(),
    enrol: (body: Uint8Array, authorization: string | undefined, ownership: 'personal' | 'organisation') =>
      when((on) => on.enrol(body, authorization, ownership))(),
    signIn: (hint: string | null) => when((on) => on.signIn(hint))(),
    signedIn: (query: URLSearchParams, cookies: string | undefined) => when((on) => on.signedIn(query, cookies))(),
  };
}
