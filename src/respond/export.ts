import { uuidv7 } from '#base';
import { EXPORTED, type Export, type Exported, MOST_RECIPIENTS, readAgeRecipient } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { RespondError } from './error.ts';
import { checkPurpose } from './locks.ts';

const EXPORT_TTL_MS = 12 * 3_600_000;

/** Asks two people to export everybody to these recipients. Throws RespondError `bad-request`. */
export async function askExport(
  t: Tx,
  input: {
    readonly fields: readonly Exported[];
    readonly recipients: readonly string[];
    readonly people: number;
    readonly by: string;
    readonly purpose: string;
    readonly now: number;
  },
): Promise<Export> {
  const { people, by, purpose, now } = input;
  const recipients = [...new Set(input.recipients.map((one) => one.trim()))].sort();
  const fields = EXPORTED.filter((field) => input.fields.includes(field));
  if (recipients.length === 0 || recipients.length > MOST_RECIPIENTS || fields.length === 0) {
    throw new RespondError('bad-request', `Name one to ${MOST_RECIPIENTS} recipients, and what goes into the file.`);
  }
  for (const one of recipients) {
    try {
      readAgeRecipient(one);
    } catch (cause) {
      throw new RespondError('bad-request', 'A recipient is an age key: age1 and 58 letters and digits.', { cause });
    }
  }
  if (people === 0) throw new RespondError('bad-request', 'There is nobody to export.');
  const document: Export = {
    ...{ v: 1, op: 'export', id: uuidv7(now), fields, people, recipients, requester: by },
    ...{ purpose: checkPurpose(purpose), notAfter: now + EXPORT_TTL_MS },
  };
  await requestApproval(t, document);
  return document;
}
