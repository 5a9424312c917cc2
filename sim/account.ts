import { signCms } from './cms.ts';
import type { Phone } from './phone.ts';
import { PhoneError } from './phone-options.ts';
import { encodePlist } from './plist.ts';
import type { DeviceAuthority } from './setup-assistant.ts';

const CALLBACK = 'apple-remotemanagement-user-login://authentication-results?access-token=';

export interface AccountEnrolment {
  /** Where the account's domain leads, such as `https://example.org`. */
  readonly domain: string;
  readonly account: string;
  /** What the holder expects: user enrolment unless it is said, or the enrolment of the whole device (`mdm-adde`). */
  readonly kind?: 'mdm-byod' | 'mdm-adde';
  readonly identity: ReturnType<DeviceAuthority['identity']>;
  /** The web view: opens the address, lets the person sign in, and gives the address that it was sent to at last. */
  readonly signIn: (url: string) => Promise<string>;
}

/** A holder enters an account in Settings (Apple: account-driven user enrolment, simple authentication). Returns the token. */
export async function enrolAccount(phone: Phone, options: AccountEnrolment): Promise<string> {
  const { send } = phone.options;
  const asked = new URL('/.well-known/com.apple.remotemanagement', options.domain);
  asked.searchParams.set('user-identifier', options.account);
  asked.searchParams.set('model-family', phone.state.modelName);
  const found = await send('GET', asked.href);
  if (found.status !== 200) throw new PhoneError('the domain offers no management', found.status);
  const { Servers: servers } = JSON.parse(found.body.toString()) as { Servers: { Version: string; BaseURL: string }[] };
  const { kind = 'mdm-byod' } = options;
  if (servers[0]?.Version !== kind) throw new PhoneError('the domain offers another enrolment');
  const info = encodePlist({ LANGUAGE: 'en-GB', PRODUCT: phone.state.productName, VERSION: phone.state.buildVersion });
  const body = signCms(info, { ...options.identity, attached: true });
  const headers = { 'content-type': 'application/pkcs7-signature' };
  const first = await send('POST', servers[0].BaseURL, { body, headers });
  const challenge = String(first.headers['www-authenticate'] ?? '');
  const [, url] = /^Bearer .*url="([^"]+)"/.exec(challenge) ?? [];
  if (first.status !== 401 || url === undefined || !challenge.includes('method="apple-as-web"'))
    throw new PhoneError('the server does not say where to sign in', first.status);
  const view = new URL(url);
  view.searchParams.set('user-identifier', options.account);
  const ended = await options.signIn(view.href);
  if (!ended.startsWith(CALLBACK)) throw new PhoneError('the sign-in ended nowhere');
  const token = ended.slice(CALLBACK.length);
  const second = await send('POST', servers[0].BaseURL, {
    body,
    headers: { ...headers, authorization: `Bearer ${token}` },
  });
  if (second.status !== 200) throw new PhoneError('the server gave no profile', second.status);
  await phone.install(second.body);
  return token;
}

/** A web view without a screen: follows redirects, keeps cookies, fills the one form. Gives the last address. */
export function plainWebView(email: string, password: string): (url: string) => Promise<string> {
  return async (url) => {
    const jar = new Map<string, string>();
    let at = url;
    let init: RequestInit = {};
    for (let step = 0; step < 10; step += 1) {
      const { origin } = new URL(at);
      const answer = await fetch(at, { ...init, redirect: 'manual', headers: { cookie: jar.get(origin) ?? '' } });
      const [cookie] = (answer.headers.get('set-cookie') ?? '').split(';');
      if (cookie) jar.set(origin, cookie);
      const location = answer.headers.get('location');
      if (location !== null) {
        if (!/^https?:/.test(location)) return location;
        [at, init] = [location, {}];
        continue;
      }
      const [, action] = /action="([^"]+)"/.exec(await answer.text()) ?? [];
      if (answer.status !== 200 || action === undefined) throw new PhoneError('the sign-in failed', answer.status);
      at = new URL(action.replaceAll('&#38;', '&'), at).href;
      init = { method: 'POST', body: new URLSearchParams({ email, password }) };
    }
    throw new PhoneError('the sign-in goes round in circles');
  };
}
