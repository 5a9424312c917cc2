import { createTransport } from 'nodemailer';
import type { Gateway, Outcome } from './outcome.ts';
import type { MailSettings } from './settings.ts';

/** Steps of SMTP (RFC 5321) at which nothing has been handed over yet. */
const BEFORE_DATA = /^(CONN|EHLO|HELO|STARTTLS|AUTH.*|MAIL FROM|RCPT TO)$/;

/** Hands messages to a mail server. The message's id makes its Message-ID; servers do not tell one from two by it. */
export function mailGateway(settings: MailSettings): Gateway {
  const { host, port, tls, user, password, from, ca } = settings;
  const timeout = (settings.timeoutSeconds ?? 20) * 1000;
  const transport = createTransport({
    ...{ host, port, secure: tls === 'implicit', requireTLS: tls === 'starttls', ignoreTLS: tls === 'none' },
    ...(user === undefined ? {} : { auth: { user, pass: password } }),
    tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
    ...{ connectionTimeout: timeout, greetingTimeout: timeout, socketTimeout: timeout, dnsTimeout: timeout },
    ...{ disableFileAccess: true, disableUrlAccess: true, logger: false },
  });
  const domain = from.slice(from.lastIndexOf('@') + 1);
  return {
    send: async (to, { subject, text }, id) => {
      try {
        await to.use((address) =>
          transport.sendMail({
            ...{ from, to: { name: '', address }, subject, text, messageId: `<${id}@${domain}>` },
            headers: { 'Auto-Submitted': 'auto-generated' },
          }),
        );
        return { end: 'sent' };
      } catch (error) {
        return judge(error as { code?: unknown; responseCode?: unknown; command?: unknown });
      }
    },
    close: () => transport.close(),
  };
}

/** Reads codes only: the text of an SMTP error repeats the address. */
function judge({
  code,
  responseCode,
  command,
}: {
  code?: unknown;
  responseCode?: unknown;
  command?: unknown;
}): Outcome {
  if (typeof responseCode === 'number' && responseCode >= 400) {
    const reason = `smtp-${responseCode}`;
    // A server that does not take our password may take it tomorrow; one that does not take the message will not.
    const ours = code === 'EAUTH' || responseCode < 500;
    return ours ? { end: 'again', reason } : { end: 'failed', reason };
  }
  if (code === 'EAUTH' || code === 'ETLS' || code === 'EDNS' || code === 'ENOAUTH') {
    return { end: 'again', reason: code.toLowerCase() };
  }
  if (code === 'EENVELOPE') return { end: 'failed', reason: 'address-refused' };
  if (typeof command === 'string' && BEFORE_DATA.test(command)) return { end: 'again', reason: 'unreachable' };
  return { end: 'uncertain', reason: 'no-answer' };
}
