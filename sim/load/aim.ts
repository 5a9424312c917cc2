import { BartizanError } from '#base';
import type { Send } from '../http.ts';

/** Why a simulation does not start or stops: the message tells what to do. */
export class SimError extends BartizanError {}

/**
 * Whether a simulation may send to this address. Loopback always; anything else only if `owned` names exactly its host: a load
 * tool must not be aimed at strangers by accident. Names other than `localhost` count as elsewhere, whatever they resolve to.
 */
export function mayAim(url: string, owned: readonly string[]): boolean {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return false;
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return false;
  const host = parsed.hostname.toLowerCase();
  if (host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)) return true;
  return owned.includes(host);
}

/** Sends only where it may, whatever a profile or an answer says; throws SimError otherwise. Redirects are never followed. */
export function aimed(send: Send, owned: readonly string[]): Send {
  return (method, url, message) => {
    if (!mayAim(url, owned)) {
      let host = 'that address';
      try {
        host = new URL(url).hostname;
      } catch {
        // no address at all
      }
      const words = `The simulation may not send to ${host}. If that server is yours, say --i-own-this-server ${host}.`;
      return Promise.reject(new SimError('aim', words));
    }
    return send(method, url, message);
  };
}
