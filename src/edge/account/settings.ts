import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError } from '../error.ts';

/** The organisation's identity provider, for holders' own devices. The operator's file `account.json` in edge's directory. */
export interface AccountSettings {
  /** OpenID Connect issuer; the only host that edge ever calls. */
  readonly issuer: string;
  readonly clientId: string;
  /** Left out for a public client: PKCE protects the code either way. */
  readonly clientSecret?: string;
  readonly scopes: string;
  /** Claim that holds the Managed Apple Account. */
  readonly accountClaim: string;
  /** Claim that holds the person's handle, if the identity provider knows it. */
  readonly handleClaim?: string;
  /** Kinds of devices that are the organisation's and enrol whole (`mdm-adde`), as they call themselves: iPhone, iPad, or `all`. */
  readonly deviceEnrolment?: readonly string[];
}

const MEMBERS = ['issuer', 'clientId', 'clientSecret', 'scopes', 'accountClaim', 'handleClaim', 'deviceEnrolment'];

/** Reads and checks the settings; undefined where nobody set any. Throws EdgeError `account`. */
export function readAccountSettings(state: string): AccountSettings | undefined {
  const file = join(state, 'account.json');
  if (!existsSync(file)) return undefined;
  try {
    return checkAccountSettings(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
  } catch (cause) {
    if (cause instanceof EdgeError) throw cause;
    throw new EdgeError('account', 'The file account.json of edge cannot be read or is not JSON.', { cause });
  }
}

/** Throws EdgeError `account` for a setting that is unknown, missing or not safe. */
export function checkAccountSettings(value: Record<string, unknown>): AccountSettings {
  for (const member of Object.keys(value)) {
    if (!MEMBERS.includes(member))
      throw new EdgeError('account', `Account enrolment has an unknown setting: ${member}.`);
  }
  const given = { scopes: 'openid email', accountClaim: 'email', ...value } as Record<string, unknown>;
  for (const member of ['issuer', 'clientId', 'scopes', 'accountClaim']) {
    if (typeof given[member] !== 'string' || given[member] === '')
      throw new EdgeError('account', `Account enrolment lacks the setting ${member}.`);
  }
  const { deviceEnrolment: families = [] } = given;
  if (!Array.isArray(families) || families.some((one) => typeof one !== 'string' || !/^[A-Za-z]{1,32}$/.test(one)))
    throw new EdgeError(
      'account',
      'Kinds of devices are named as they name themselves, such as iPhone or iPad, or all.',
    );
  const issuer = new URL(given['issuer'] as string);
  const local = issuer.hostname === '127.0.0.1' || issuer.hostname === 'localhost';
  if (issuer.protocol !== 'https:' && !(local && issuer.protocol === 'http:'))
    throw new EdgeError('account', 'The issuer needs an https address.');
  return given as unknown as AccountSettings;
}
