import { connect } from 'node:net';
import { signCms } from '../cms.ts';
import type { Answer, Send } from '../http.ts';
import { readKey } from '../keys.ts';
import type { PhoneState } from '../phone-state.ts';
import { encodePlist, type PlistDict } from '../plist.ts';
import { selfSigned } from '../scep.ts';

/** What a hostile request came to: the server refused it, took it, or did not answer. */
export type Verdict = 'refused' | 'taken' | 'silent';

interface Attack {
  readonly state: PhoneState;
  readonly send: Send;
  /** Whether a connection may be opened that does not go through `send`. */
  readonly may: (url: string) => boolean;
  /** Another phone of the same run. */
  readonly other: PhoneState;
  /** The last message that this phone sent, byte by byte. */
  readonly last:
    | { readonly url: string; readonly body: Uint8Array; readonly headers: Readonly<Record<string, string>> }
    | undefined;
}

const TYPE = { 'content-type': 'application/x-apple-aspen-mdm' };
const idle = (udid: string): PlistDict => ({ UDID: udid, Status: 'Idle' });

function signed(attack: Attack, message: PlistDict | Buffer, as = attack.state): Promise<Answer> {
  const body = Buffer.isBuffer(message) ? message : encodePlist(message);
  const { key, certificate } = as.identity!;
  const signature = signCms(body, { certificate: Buffer.from(certificate, 'base64'), key: readKey(key) });
  return say(attack, body, signature.toString('base64'));
}

const say = ({ send, state }: Attack, body: Uint8Array, signature: string) =>
  send('PUT', state.enrolment!.serverUrl, { body, headers: { ...TYPE, 'mdm-signature': signature } });

/** Each sends one request that a server must refuse (a replay may be taken: then it must change nothing). */
export const ATTACKS: Readonly<Record<string, (attack: Attack) => Promise<Answer | Verdict>>> = {
  replay: ({ send, last }) =>
    last === undefined ? Promise.resolve('silent') : send('PUT', last.url, { body: last.body, headers: last.headers }),
  forged: (attack) => {
    const body = encodePlist(idle(attack.state.udid));
    const { key, certificate } = attack.state.identity!;
    const options = { certificate: Buffer.from(certificate, 'base64'), key: readKey(key) };
    return say(attack, body, signCms(Buffer.concat([body, Buffer.from(' ')]), options).toString('base64'));
  },
  // signed by a certificate that was never issued
  stranger: (attack) => {
    const key = readKey(attack.state.identity!.key);
    const body = encodePlist(idle(attack.state.udid));
    const certificate = selfSigned(key, [[['CN', 'stranger']]]);
    return say(attack, body, signCms(body, { certificate, key }).toString('base64'));
  },
  'others-udid': (attack) => signed(attack, idle(attack.other.udid)),
  'ber-bomb': (attack) =>
    say(attack, encodePlist(idle(attack.state.udid)), Buffer.alloc(7_000, Buffer.of(0x30, 0x80)).toString('base64')),
  'plist-bomb': (attack) => signed(attack, Buffer.from(`<plist>${'<array>'.repeat(50_000)}`)),
  oversized: (attack) => signed(attack, Buffer.alloc(2 * 1024 * 1024, ' ')),
  slowloris: ({ state, may }) =>
    may(state.enrolment!.serverUrl) ? slowly(state.enrolment!.serverUrl) : Promise.resolve('silent'),
};

/** One attack by name; what the server made of it. */
export async function attackOnce(name: string, attack: Attack): Promise<Verdict> {
  if (attack.state.enrolment === null || attack.state.identity === null) return 'silent';
  try {
    const answer = await ATTACKS[name]!(attack);
    if (typeof answer === 'string') return answer;
    return answer.status >= 400 ? 'refused' : 'taken';
  } catch {
    return 'silent';
  }
}

/** Sends header bytes one by one for at most 20 s; a server that hangs up first has refused. */
function slowly(url: string): Promise<Verdict> {
  const { hostname, port, protocol } = new URL(url);
  // Header bytes of a TLS connection come after the handshake, so this is for plain servers only.
  if (protocol !== 'http:') return Promise.resolve('silent');
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 80) });
    const drip = setInterval(() => socket.write('X'), 500);
    const end = (verdict: Verdict) => {
      clearInterval(drip);
      clearTimeout(patience);
      socket.destroy();
      resolve(verdict);
    };
    const patience = setTimeout(() => end('taken'), 20_000);
    socket.on('connect', () => socket.write('PUT /mdm HTTP/1.1\r\nX-Slow: '));
    socket.on('data', () => end('refused'));
    socket.on('close', () => end('refused'));
    socket.on('error', () => end('refused'));
  });
}
