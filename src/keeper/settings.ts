import { KeeperError } from './error.ts';

/** A token by its PKCS #11 module; the PIN is the first line of a file that the keeper can read. */
export interface TokenSettings {
  readonly module: string;
  readonly token: string;
  readonly pinFile: string;
  /** What the module needs in its environment, such as SOFTHSM2_CONF. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A key service that speaks the transit API of OpenBao and Vault. */
export interface ServiceSettings {
  /** Origin, https only. */
  readonly url: string;
  /** Name of the transit key; an AEAD type such as aes256-gcm96. */
  readonly key: string;
  /** File whose first line is the service's token; read for every question, so an agent may renew it. */
  readonly tokenFile: string;
  /** PEM of the only authority that is believed; the system's if it is left out. */
  readonly ca?: string;
  /** Where the transit engine is mounted; `transit` if it is left out. */
  readonly mount?: string;
}

/** So many of so many shares bring the key. */
export interface QuorumSettings {
  readonly shares: number;
  readonly of: number;
}

/** Where organisation keys live: the next one in `next`; the others' settings are for versions that live there still. */
export interface KeySettings {
  readonly next: 'file' | 'credential' | 'pkcs11' | 'kms' | 'quorum';
  readonly pkcs11?: TokenSettings;
  readonly kms?: ServiceSettings;
  readonly quorum?: QuorumSettings;
}

const no = (why: string) => new KeeperError('usage', `The key settings are not usable: ${why}`);
const NEXT = ['file', 'credential', 'pkcs11', 'kms', 'quorum'] as const;

/** Reads key settings; anything unknown refuses. Throws KeeperError `usage`. */
export function parseKeySettings(value: unknown): KeySettings {
  const given = members(value, 'the top', ['next'], ['pkcs11', 'kms', 'quorum']);
  const next = NEXT.find((one) => one === given['next']) ?? fail(`next is one of ${NEXT.join(', ')}.`);
  const pkcs11 = given['pkcs11'] === undefined ? undefined : token(given['pkcs11']);
  const kms = given['kms'] === undefined ? undefined : service(given['kms']);
  const quorum = given['quorum'] === undefined ? undefined : threshold(given['quorum']);
  if ((next === 'pkcs11' && !pkcs11) || (next === 'kms' && !kms) || (next === 'quorum' && !quorum)) {
    throw no(`next is ${next}, and there is no ${next}.`);
  }
  return {
    next,
    ...(pkcs11 === undefined ? {} : { pkcs11 }),
    ...(kms === undefined ? {} : { kms }),
    ...(quorum === undefined ? {} : { quorum }),
  };
}

function fail(why: string): never {
  throw no(why);
}

function members(value: unknown, where: string, needed: readonly string[], more: readonly string[]) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw no(`${where} is an object.`);
  const given = value as Record<string, unknown>;
  const strange = Object.keys(given).find((name) => !needed.includes(name) && !more.includes(name));
  if (strange !== undefined) throw no(`there is no setting ${strange} in ${where}.`);
  const lacking = needed.find((name) => given[name] === undefined);
  if (lacking !== undefined) throw no(`${lacking} is missing in ${where}.`);
  return given;
}

const text = (value: unknown, where: string): string =>
  typeof value === 'string' && value !== '' && value.length <= 8_192 ? value : fail(`${where} is a text.`);

function token(value: unknown): TokenSettings {
  const given = members(value, 'pkcs11', ['module', 'token', 'pinFile'], ['environment']);
  const environment = given['environment'] ?? {};
  if (typeof environment !== 'object' || Object.values(environment).some((one) => typeof one !== 'string')) {
    throw no('pkcs11.environment holds texts by name.');
  }
  return {
    module: text(given['module'], 'pkcs11.module'),
    token: text(given['token'], 'pkcs11.token'),
    pinFile: text(given['pinFile'], 'pkcs11.pinFile'),
    environment: environment as Record<string, string>,
  };
}

function service(value: unknown): ServiceSettings {
  const given = members(value, 'kms', ['url', 'key', 'tokenFile'], ['ca', 'mount']);
  const url = text(given['url'], 'kms.url');
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:' || new URL(url).origin !== url) {
    throw no('kms.url is an origin such as https://keys.example.org:8200.');
  }
  const name = (one: unknown, where: string) =>
    /^[A-Za-z0-9_-]{1,64}$/.test(text(one, where)) ? (one as string) : fail(`${where} is a plain name.`);
  return {
    url,
    key: name(given['key'], 'kms.key'),
    tokenFile: text(given['tokenFile'], 'kms.tokenFile'),
    ...(given['ca'] === undefined ? {} : { ca: text(given['ca'], 'kms.ca') }),
    ...(given['mount'] === undefined ? {} : { mount: name(given['mount'], 'kms.mount') }),
  };
}

function threshold(value: unknown): QuorumSettings {
  const given = members(value, 'quorum', ['shares', 'of'], []);
  const { shares, of } = given;
  const whole =
    typeof shares === 'number' && typeof of === 'number' && Number.isInteger(shares) && Number.isInteger(of);
  if (!whole || shares < 2 || of > 12 || shares > of) throw no('quorum needs 2 ≤ shares ≤ of ≤ 12.');
  return { shares, of };
}
