import { type FormEvent, useState } from 'react';
import {
  type Channel,
  renderMessage,
  type Send,
  TEMPLATES,
  type Topic,
  type Variables,
} from '../../../src/seal/notices.ts';
import { hashesOf, sealVariables } from './message-text.ts';
import { Card, Signer, Trouble } from './parts.tsx';
import { identify, known, touch } from './passkey.ts';
import { askSend, type Published } from './server.ts';

const DAY_MS = 86_400_000;
const WAY: Readonly<Record<Channel, readonly [way: string, address: string]>> = {
  sms: ['SMS', 'mobile number'],
  email: ['e-mail', 'e-mail address'],
};

/** One message to one person: the exact text, then the touch. Neither this page nor the console sees the address. */
export function SendMessage(props: {
  topic: Topic;
  channel: Channel;
  to: string;
  variables: Variables;
  config: Published;
}) {
  const { topic, channel, to, variables, config } = props;
  const [who, setWho] = useState(known);
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();
  const [sent, setSent] = useState(false);
  const { courier, org } = config.keys;
  const message = renderMessage(topic, org, variables);
  const foreign = variables.link !== undefined && !variables.link.startsWith(`${config.edge}/enrol/`);
  const [way, address] = WAY[channel];

  if (message === undefined || foreign || courier === undefined) {
    return (
      <Card title="This message cannot be sent">
        <p className="note warn">
          {courier === undefined
            ? 'This installation has no courier.'
            : foreign
              ? 'Its link does not lead to your own device plane. Do not trust where it came from.'
              : 'The link to this page is incomplete, or holds something that these messages never say. Start again in the console.'}
        </p>
      </Card>
    );
  }
  if (sent) {
    return (
      <Card title="On its way">
        <p className="note good">
          The {way} to <span className="mono">{to}</span> waits for courier. What became of it is under Messages in the
          console. You can close this tab.
        </p>
      </Card>
    );
  }

  async function submit(event: FormEvent) {
    event.preventDefault();
    setError(undefined);
    try {
      setBusy('Touch your security key');
      const signer = who ?? (await identify());
      setWho(signer);
      const document: Send = {
        ...{ v: 1, op: 'send', id: crypto.randomUUID(), admin: signer.admin, channel, topic, subject: to },
        ...(await hashesOf(topic, message!)),
        notAfter: Date.now() + DAY_MS - 60_000,
      };
      const { assertion } = await touch(document, signer.credential);
      await askSend(document, assertion, await sealVariables(courier!, document.id, variables));
      setSent(true);
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(undefined);
    }
  }

  return (
    <Card title={`Send one ${way}`}>
      <dl className="facts">
        <dt>To</dt>
        <dd className="mono">{to}</dd>
        <dt>For</dt>
        <dd>{TEMPLATES[topic].title}</dd>
        {channel === 'email' ? (
          <>
            <dt>Subject</dt>
            <dd>{message.subject}</dd>
          </>
        ) : null}
        <dt>Says</dt>
        <dd className="wrap-anywhere">{message.text}</dd>
        <dt>The {address} is</dt>
        <dd>opened to courier alone, for this one message; nobody sees it here or in the console</dd>
        <dt>Kept in the log</dt>
        <dd>your handle, this handle and what it was for, for good</dd>
      </dl>
      <form onSubmit={submit} className="stack">
        <Signer who={who} onForget={() => setWho(undefined)} />
        <Trouble error={error} />
        <div className="row">
          <button type="submit" className="primary" disabled={busy !== undefined}>
            Touch and send
          </button>
          <span role="status">{busy}</span>
        </div>
      </form>
    </Card>
  );
}
