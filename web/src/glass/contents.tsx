import { useEffect, useState } from 'react';
import { fromBase64url } from '../shared/bytes.ts';
import { isTextOf } from './message-text.ts';
import type { ApprovalView } from './server.ts';
import { areWhatIsSigned, isWhatIsSigned, leadsElsewhere, NIL_UUID } from './signed-contents.ts';

/** The command as a person can read it: one element a line, and a profile inside it opened. */
function readable(template: string): string {
  const inner = template.slice(template.indexOf('<plist')).replace(NIL_UUID, '(one for each device)');
  const lines = (text: string) => text.replace(/></g, '>\n<').trim();
  return lines(inner).replace(/<data>([A-Za-z0-9+/=]+)<\/data>/g, (whole, data: string) => {
    try {
      const bytes = fromBase64url(data.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''));
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      return text.includes('<plist') ? `<data>\n${lines(text.slice(text.indexOf('<plist')))}\n</data>` : whole;
    } catch {
      return whole;
    }
  });
}

/** Data as a person can read it; what is not text is named by its size. */
function readableData(content: string): string {
  const bytes = fromBase64url(content);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return `${bytes.length} bytes that are not text`;
  }
}

export type Checked = 'checking' | 'true' | 'false' | 'none';

/** Checks what the server says is in a command set or in declarations against the hashes that are signed. */
export function useChecked(view: ApprovalView | undefined): Checked {
  const [checked, setChecked] = useState<Checked>('checking');
  useEffect(() => {
    const judged = view === undefined ? undefined : judge(view);
    if (judged === undefined) return setChecked('none');
    judged.then(
      (same) => setChecked(same ? 'true' : 'false'),
      () => setChecked('false'),
    );
  }, [view]);
  return checked;
}

function judge({ document, template, bodies, data, organisation }: ApprovalView): Promise<boolean> | undefined {
  if (document.op === 'command') return template ? isWhatIsSigned(document, template) : undefined;
  if (document.op === 'notice') return isTextOf(document, organisation);
  // Declarations that cannot be shown are not signed blindly: their permit lasts for months.
  return document.op === 'declare' ? areWhatIsSigned(document, bodies ?? [], data ?? []) : undefined;
}

/** The exact contents of what is signed; if they do not fit the hashes, a warning instead. */
export function Contents({ view, checked }: { view: ApprovalView; checked: Checked }) {
  const { template, bodies, data = [] } = view;
  if (checked === 'false') {
    return (
      <p className="note bad">
        What the server shows is not what would be signed. Do not sign; tell your security team: this should never
        happen.
      </p>
    );
  }
  if (checked !== 'true' || view.document.op === 'notice') return null;
  return (
    <details open={Boolean(bodies)}>
      <summary>Exactly what each device receives (checked in this page against what you sign)</summary>
      {template ? <pre className="pre small">{readable(template)}</pre> : null}
      {(bodies ?? []).map(({ identifier, body }) => (
        <pre key={identifier} className="pre small">
          {JSON.stringify(JSON.parse(body), null, 2)}
        </pre>
      ))}
      {data.map(({ id, url, type, content }) => (
        <div key={id}>
          <p className="small">
            Behind <span className="mono wrap-anywhere">{url}</span> ({type}):
          </p>
          <pre className="pre small">{readableData(content)}</pre>
        </div>
      ))}
      {bodies?.some(({ body }) => leadsElsewhere(body, data)) ? (
        <p className="note warn">
          At least one address leads to a place whose contents are not shown here and can change after you signed.
        </p>
      ) : null}
    </details>
  );
}
