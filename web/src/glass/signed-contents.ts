import type { CommandSet, Declare } from '../../../src/seal/messages.ts';
import { fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';
import type { ApprovalView, ShownData } from './server.ts';

type Bodies = NonNullable<ApprovalView['bodies']>;

/** Stands in a template where each device's command has a UUID of its own. */
export const NIL_UUID = '00000000-0000-0000-0000-000000000000';

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

/** Whether these bodies are exactly the declarations that the document names by their hashes, and what is behind them too. */
export async function areWhatIsSigned(document: Declare, bodies: Bodies, data: readonly ShownData[]): Promise<boolean> {
  if (bodies.length !== document.declarations.length) return false;
  for (const [n, { identifier, body }] of document.declarations.entries()) {
    const shown = bodies[n]!;
    if (shown.identifier !== identifier || (await sha256(utf8(shown.body))) !== body) return false;
    if ((JSON.parse(shown.body) as { Identifier?: unknown }).Identifier !== identifier) return false;
  }
  for (const { id, url, type, salt, content } of data) {
    const [salted, bytes] = [fromBase64url(salt), fromBase64url(content)];
    if (salted.length !== 32 || !url.endsWith(`/data/${id}`)) return false;
    const whole = new Blob([utf8('bartizan data v1\n'), salted, utf8(type), utf8('\n'), bytes]);
    if ((await sha256(await whole.arrayBuffer())) !== id) return false;
  }
  return true;
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer> | ArrayBuffer) =>
  toBase64url(await crypto.subtle.digest('SHA-256', bytes));

/** Whether a declaration names an address of which nothing is shown: what it answers is nobody's word. */
export function leadsElsewhere(body: string, data: readonly ShownData[]): boolean {
  const shown = new Set(data.map(({ url }) => url));
  const texts = (value: unknown): string[] =>
    typeof value === 'string'
      ? [value]
      : typeof value === 'object' && value !== null
        ? Object.values(value).flatMap(texts)
        : [];
  return texts(JSON.parse(body)).some((text) => /^[a-z][a-z0-9+.-]*:\/\//i.test(text.trim()) && !shown.has(text));
}
