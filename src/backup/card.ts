import { renderSVG } from 'uqr';
import { NEEDED, SHARES, type Share } from './shares.ts';

const STYLE = `body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#111;background:#fff}
article{border:1px solid #111;padding:1.5rem;max-width:44rem;break-after:page}
code{font:600 17px/1.7 ui-monospace,monospace;word-spacing:.4em;display:block;overflow-wrap:anywhere}
svg{width:12rem;height:12rem;display:block}dt{font-weight:600}dd{margin:0 0 .5rem}`;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** One share as a page to print: the line, the same as a QR code, and the words to check it by. Made on the offline machine. */
export function shareCard(share: Share, organisation: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Share ${share.number} of ${SHARES}</title><style>${STYLE}</style>
<article><h1>Recovery share ${share.number} of ${SHARES}</h1>
<p>${escaped(organisation)}, recovery key <strong>${share.key}</strong>. Any ${NEEDED} of the ${SHARES} cards restore everything; one or two say nothing.</p>
<code>${share.text.replace(/-(?=.{5}(-|$))/g, '- ')}</code>
<dl><dt>Words to check it by</dt><dd>${share.words}</dd></dl>
${renderSVG(share.text, { ecc: 'M' })}
<p>Keep this card in a sealed envelope, away from the others and from every computer. Do not photograph it. Whoever takes it out signs and dates the envelope.
It is typed into <strong>bartizan restore</strong> and nowhere else.</p></article></html>
`;
}
