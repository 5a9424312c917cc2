import { type Notice, renderMessage, TEMPLATES } from '../../../src/seal/notices.ts';

/** What a notice says and to whom, for the people who sign it. */
export function NoticeParticulars({ document, organisation }: { document: Notice; organisation: string }) {
  const message = renderMessage(document.topic, organisation, document.variables);
  return (
    <>
      <dt>For</dt>
      <dd>{TEMPLATES[document.topic].title}</dd>
      <dt>Sent as</dt>
      <dd>{document.channel === 'sms' ? 'SMS' : `e-mail, “${message?.subject ?? ''}”`}</dd>
      <dt>Says</dt>
      <dd className="wrap-anywhere">{message?.text ?? 'nothing that these messages ever say: do not sign'}</dd>
      <dt>People ({document.subjects.length})</dt>
      <dd>
        <ul className="handles mono">
          {document.subjects.map((handle) => (
            <li key={handle}>{handle}</li>
          ))}
        </ul>
      </dd>
    </>
  );
}
