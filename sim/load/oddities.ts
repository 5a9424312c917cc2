import { signCms } from '../cms.ts';
import type { Send } from '../http.ts';
import { readKey } from '../keys.ts';
import type { PhoneOptions } from '../phone-options.ts';
import type { PhoneState } from '../phone-state.ts';
import { decodePlist, dict, encodePlist, type PlistDict } from '../plist.ts';

/**
 * Clients that differ from the protocol's letter and yet must be served: what open-source device clients were seen to send.
 * Each phone of a tolerance run is one of them. Their messages are signed as they are sent.
 */
interface Oddity {
  readonly options?: Partial<PhoneOptions>;
  readonly state?: (state: PhoneState) => Partial<PhoneState>;
  readonly message?: (message: PlistDict) => PlistDict;
  /** The SCEP message stands in the query too. */
  readonly scepInQuery?: boolean;
  readonly emptyType?: boolean;
}

const SAME_TOKEN = Buffer.alloc(32, 0x5a).toString('base64');
const without = (message: PlistDict, key: string): PlistDict =>
  Object.fromEntries(Object.entries(message).filter(([name]) => name !== key));

export const ODDITIES: Readonly<Record<string, Oddity>> = {
  'own-topic': {
    message: (one) => (one['Topic'] === undefined ? one : { ...one, Topic: `com.apple.mgmt.External.${one['UDID']}` }),
  },
  'no-topic': { message: (one) => without(one, 'Topic') },
  'string-booleans': {
    message: (one) =>
      Object.fromEntries(
        Object.entries(one).map(([key, value]) => [key, typeof value === 'boolean' ? `${value}` : value]),
      ),
  },
  'short-token': { state: () => ({ pushToken: Buffer.alloc(17, 0x17).toString('base64') }) },
  'same-token': { state: () => ({ pushToken: SAME_TOKEN, pushMagic: 'the-same-for-all' }) },
  'lower-case-udid': { state: ({ udid }) => ({ udid: udid.toLowerCase() }) },
  // 8-16 form with letters beyond F
  'strange-udid': { state: ({ udid }) => ({ udid: udid.replace(/.{4}$/, 'XYZW') }) },
  'two-identifiers': { message: (one) => ({ ...one, EnrollmentID: `E-${one['UDID']}` }) },
  'no-type': { options: { withoutType: true } },
  'empty-type': { emptyType: true },
  post: { options: { method: 'POST' } },
  attached: { options: { attached: true } },
  'sha-1': { options: { digest: 'sha1' } },
  'scep-in-query': { scepInQuery: true },
  'few-facts': {
    message: (one) => {
      if (one['QueryResponses'] === undefined) return one;
      const all = dict(one['QueryResponses']);
      return {
        ...one,
        QueryResponses: { DeviceName: all['DeviceName'], SerialNumber: all['SerialNumber'], UDID: all['UDID'] },
      };
    },
  },
  'knows-nothing': {
    message: (one) =>
      one['CommandUUID'] === undefined
        ? one
        : {
            ...{ UDID: one['UDID'], CommandUUID: one['CommandUUID'], Status: 'Error' },
            ErrorChain: [
              { ErrorCode: 12021, ErrorDomain: 'MCMDMErrorDomain', LocalizedDescription: 'Unknown command' },
            ],
          },
  },
};

/** What to make of a new phone so that it is this odd client: its state, its options, and the way its messages go out. */
export function makeOdd(
  name: string,
  state: PhoneState,
  send: Send,
): { readonly state: PhoneState; readonly options: Partial<PhoneOptions>; readonly send: Send } {
  const oddity = ODDITIES[name]!;
  const odd: PhoneState = { ...state, ...oddity.state?.(state) };
  return { state: odd, options: oddity.options ?? {}, send: rewritten(oddity, odd, send) };
}

function rewritten(oddity: Oddity, state: PhoneState, send: Send): Send {
  return (method, url, message = {}) => {
    const { body } = message;
    if (method === 'POST' && oddity.scepInQuery && url.includes('operation=PKIOperation') && body !== undefined)
      return send(method, `${url}&message=${encodeURIComponent(Buffer.from(body).toString('base64'))}`, message);
    const signature = message.headers?.['mdm-signature'];
    if (signature === undefined || body === undefined || state.identity === null) return send(method, url, message);
    const headers: Record<string, string> = { ...message.headers };
    if (oddity.emptyType && headers['content-type']?.endsWith('mdm')) headers['content-type'] = '';
    if (oddity.message === undefined) return send(method, url, { body, headers });
    let changed: Buffer;
    try {
      changed = encodePlist(oddity.message(dict(decodePlist(body))));
    } catch {
      // it was garbage on purpose
      return send(method, url, { body, headers });
    }
    const { certificate, key } = state.identity;
    const options = { certificate: Buffer.from(certificate, 'base64'), key: readKey(key), ...oddity.options };
    headers['mdm-signature'] = signCms(changed, { ...options }).toString('base64');
    return send(method, url, { body: changed, headers });
  };
}
