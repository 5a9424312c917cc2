import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** A guard on another host: where it is, and the files that prove who asks (PEM). They are read at every connection. */
export interface RemoteDoor {
  readonly host: string;
  readonly port: number;
  /** The one authority that is believed. The system's are not. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The name in the certificate of a ledger on another host: its identity is its role, not its address. */
export const LEDGER_NAME = 'ledger.bartizan.invalid';
/** Application protocol (ALPN, RFC 7301): whoever wants something else with this port gets nothing. */
export const GUARD_PROTOCOL = 'bartizan-guard/1';

const CONNECT_MS = 3_000;
const QUIET_MS = 5_000;

/** A connection to a guard that may still be on its way. */
export interface Dialled {
  readonly socket: Socket;
  /** Breaks it off at once: what is still to be sent is not sent. */
  drop(): void;
}

/**
 * Connects to a guard's socket: a path of this host, or mutual TLS 1.3 to another one. `opened` is called when messages
 * may be sent, which is after the other side has proved its name. Throws if the files of a remote door cannot be read.
 */
export function dial(where: string | RemoteDoor, opened: () => void): Dialled {
  if (typeof where === 'string') {
    const socket = connect({ path: where });
    socket.once('connect', opened);
    return { socket, drop: () => socket.destroy() };
  }
  const [ca, cert, key] = [where.ca, where.cert, where.key].map((file) => readFileSync(file)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const line = connect({ host: where.host, port: where.port });
  line.setNoDelay(true);
  // A peer that vanished without a word is noticed after this and ten probes a second apart.
  line.setKeepAlive(true, QUIET_MS);
  const socket = connectTls({
    ...{ socket: line, ca, cert, key, servername: LEDGER_NAME, ALPNProtocols: [GUARD_PROTOCOL] },
    ...{ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', rejectUnauthorized: true },
  });
  const drop = () => {
    clearTimeout(late);
    socket.destroy();
    // Otherwise the kernel would go on sending, and a request that nobody waits for would arrive once the link is back.
    if (!line.destroyed) line.resetAndDestroy();
  };
  const late = setTimeout(() => socket.destroy(new Error('no connection in time')), CONNECT_MS);
  socket.once('secureConnect', () => {
    clearTimeout(late);
    if (socket.alpnProtocol !== GUARD_PROTOCOL) socket.destroy(new Error('another protocol'));
    else opened();
  });
  socket.once('close', drop);
  line.on('error', (error) => socket.destroy(error));
  return { socket, drop };
}
