import { createTransport } from 'nodemailer';
import { headline, lines, type Notice } from './notice.ts';
import type { Outcome } from './post.ts';
import type { Channel } from './settings.ts';

const PATIENCE_MS = 20_000;

/** Sends one mail. Its Message-ID is the delivery's, the same in every try. Never throws. */
export async function sendMail(channel: Extract<Channel, { kind: 'email' }>, notice: Notice): Promise<Outcome> {
  const { host, port, tls, user, password, from, to, ca } = channel;
  const transport = createTransport({
    ...{ host, port, secure: tls === 'implicit', requireTLS: tls === 'starttls', ignoreTLS: tls === 'none' },
    ...(user === undefined ? {} : { auth: { user, pass: password } }),
    tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
    ...{
      connectionTimeout: PATIENCE_MS,
      greetingTimeout: PATIENCE_MS,
      socketTimeout: PATIENCE_MS,
      dnsTimeout: PATIENCE_MS,
    },
    ...{ disableFileAccess: true, disableUrlAccess: true, logger: false },
  });
  const domain = from.slice(from.lastIndexOf('@') + 1);
  // Mails about one alert stand together.
  const thread = `<${notice.alert}@${domain}>`;
  try {
    await transport.sendMail({
      ...{ from, to: [...to], subject: headline(notice), text: `${lines(notice).join('\n')}\n` },
      ...{ messageId: `<${notice.id}@${domain}>`, references: thread, inReplyTo: thread },
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    return { sent: true, code: 'sent' };
  } catch (error) {
    const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
    if (typeof responseCode === 'number') return { sent: false, code: `smtp-${responseCode}` };
    return { sent: false, code: typeof code === 'string' ? code.toLowerCase().slice(0, 40) : 'unreachable' };
  } finally {
    transport.close();
  }
}
