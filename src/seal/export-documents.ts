import { readAgeRecipient } from './age.ts';
import { SealError } from './errors.ts';
import { EXPORTED, type Export, type Exported, MOST_RECIPIENTS } from './export.ts';
import { admin, uuid } from './handles.ts';
import { integer, list, object, oneOf, type Shape, text } from './shape.ts';

const recipient: Shape<string> = (value, where) => {
  const read = text(80)(value, where);
  readAgeRecipient(read);
  return read;
};

const document = object({
  ...{ v: oneOf(1), op: oneOf('export'), id: uuid },
  fields: list(oneOf(...EXPORTED), EXPORTED.length, 1),
  people: integer(1, 1_000_000),
  recipients: list(recipient, MOST_RECIPIENTS, 1),
  ...{ requester: admin, purpose: text(200, { min: 5 }), notAfter: integer(0) },
});

/** Reads what exports everybody: fields and recipients each once, in their order. Throws SealError `shape` or `key`. */
export const parseExport: Shape<Export> = (value, where) => {
  const read = document(value, where);
  const fields = EXPORTED.filter((one) => (read.fields as readonly Exported[]).includes(one));
  const recipients = [...new Set(read.recipients)].sort();
  if (fields.join() !== read.fields.join() || recipients.join() !== read.recipients.join()) {
    throw new SealError('shape', 'Fields and recipients of an export are named once, in their order.');
  }
  return read as Export;
};
