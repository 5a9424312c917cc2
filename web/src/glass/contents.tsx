import { useEffect, useState } from 'react';
import type { CommandSet, Declare } from '../../../src/seal/messages.ts';
import { fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';
import type { ApprovalView, ShownData } from './server.ts';

type Bodies = NonNullable<ApprovalView['bodies']>;

/** Stands in a template where each device's command has a UUID of its own. */
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** Whether a template, filled in for each device, is exactly what the document names by its hashes. */
export async function isWhatIsSigned(document: CommandSet, template: string): Promise<boolean> {
  const at = template.lastIndexOf(NIL_UUID);
  if (at < 0) return false;
  for (const { uuid, body } of document.commands) {
    const text = template.slice(0, at) + uuid + template.slice(at + NIL_UUID.length);
    const hash = await crypto.subtle.digest('SHA-256', utf8(text));
    if (toBase64url(hash) !== body) return false;
  }
  return true;
}

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

/** Whether these bodies are exactly the declarations that the document names by their hashes, and what is behind them too. */
export async function areWhatIsSigned(document: Declare, bodies: Bodies, data: readonly ShownData[]): Promise<boolean> {
  if (bodies.length !== document.declarations.length) return false;
  for (const [n, { identifier, body }] of document.declarations.entries()) {
    const shown = bodies[n]!;
    if (shown.identifier !== identifier || (await sha256(utf8(shown.body))) !== body) return false;
    if ((JSON.parse(shown.body) as { Identifier?: unknown }).Identifier !== identifier) return false;
  }
  for (const { id, type, salt, content } of data) {
    const [salted, bytes] = [fromBase64url(salt), fromBase64url(content)];
    if (salted.length !== 32) return false;
    const whole = new Blob([utf8('bartizan data v1\n'), salted, utf8(type), utf8('\n'), bytes]);
    if ((await sha256(await whole.arrayBuffer())) !== id) return false;
  }
  return true;
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer> | ArrayBuffer) =>
  toBase64url(await crypto.subtle.digest('SHA-256', bytes));

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

function judge({ document, template, bodies, data }: ApprovalView): Promise<boolean> | undefined {
  if (document.op === 'command') return template ? isWhatIsSigned(document, template) : undefined;
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
  if (checked !== 'true') return null;
  return (
    <details open={Boolean(bodies)}>
      <summary>Exactly what each device receives (checked in this page against what you sign)</summary>
      {template ? <pre className="pre small">{readable(template)}</pre> : null}
      {(bodies ?? []).map(({ identifier, body }) => (
        <pre key={identifier} className="pre small">
          {JSON.stringify(JSON.parse(body), null, 2)}
        </pre>
      ))}
      {data.map(({ id, type, content }) => (
        <div key={id}>
          <p className="small">
            Behind the address that ends in <span className="mono wrap-anywhere">/data/{id}</span> ({type}):
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

/** Whether a declaration names an address of which nothing is shown. */
const leadsElsewhere = (body: string, data: readonly ShownData[]): boolean =>
  [...body.matchAll(/"https?:[^"]*"/g)].some(([url]) => !data.some(({ id }) => url.endsWith(`/data/${id}"`)));
