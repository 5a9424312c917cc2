import { useEffect, useState } from 'react';
import type { CommandSet } from '../../../src/seal/messages.ts';
import { fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';

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

export type Checked = 'checking' | 'true' | 'false' | 'none';

/** Checks what the server says is in a command set against the hashes that are signed. */
export function useChecked(document: CommandSet | undefined, template: string | null | undefined): Checked {
  const [checked, setChecked] = useState<Checked>('checking');
  useEffect(() => {
    if (document === undefined || !template) return setChecked('none');
    isWhatIsSigned(document, template).then(
      (same) => setChecked(same ? 'true' : 'false'),
      () => setChecked('false'),
    );
  }, [document, template]);
  return checked;
}

/** The exact contents of what is signed; if they do not fit the hashes, a warning instead. */
export function Contents({ template, checked }: { template: string; checked: Checked }) {
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
    <details>
      <summary>Exactly what each device receives (checked in this page against what you sign)</summary>
      <pre className="pre small">{readable(template)}</pre>
    </details>
  );
}
