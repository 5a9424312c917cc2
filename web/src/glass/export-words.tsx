import type { Export, Exported } from '../../../src/seal/export.ts';

const WORD: Readonly<Record<Exported, string>> = { name: 'names', number: 'mobile numbers', email: 'e-mail addresses' };

/** What is asked of two people, in a heading. */
export const exportHeading = ({ people }: Export): string =>
  `Export ${people === 1 ? 'one person' : `all ${people.toLocaleString('en')} people`}`;

/** What it does. */
export const exportEffect = ({ fields }: Export): string =>
  `The ${fields.map((field) => WORD[field]).join(', ')} of everybody leave the directory in one file, which the recipients below can open and nobody else. Everybody counts as exposed. It cannot be taken back. Sign only if you know who asked, and whose keys these are.`;

/** To whom: compare letter by letter with what the recipients gave you. */
export function ExportParticulars({ document }: { document: Export }) {
  return (
    <>
      <dt>{document.recipients.length === 1 ? 'Recipient' : 'Recipients'}</dt>
      <dd>
        <ul>
          {document.recipients.map((recipient) => (
            <li key={recipient} className="mono wrap-anywhere">
              {recipient}
            </li>
          ))}
        </ul>
      </dd>
      <dt>Holds</dt>
      <dd>handle, {document.fields.map((field) => WORD[field]).join(', ')}</dd>
    </>
  );
}
