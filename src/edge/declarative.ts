import {
  type Certificate,
  type DeclarativeManagement,
  itemsAnswer,
  type Manifest,
  parseEndpoint,
  parseStatusReport,
  tokensAnswer,
  WireError,
} from '#wire';
import { type Answer, notFound, ok, refused } from './answer.ts';
import type { Declared, Holding } from './declared.ts';
import type { DeviceDoors } from './device.ts';

const JSON_TYPE = 'application/json';

/** Check-in DeclarativeManagement: tokens, declaration-items, one declaration, or a status report. */
export async function declarative(
  doors: DeviceDoors,
  signer: Certificate,
  message: DeclarativeManagement,
): Promise<Answer> {
  const ask = parseEndpoint(message.endpoint);
  if (ask === undefined) {
    doors.refusals.count('message');
    return notFound;
  }
  const { declared } = doors;
  if (ask.ask === 'status') {
    if (message.data === undefined) throw new WireError('status', 'The status report is missing.');
    const verdict = await takeReport(declared, signer.sha256, message.udid, message.data);
    return verdict === 'own' ? ok() : foreign(doors);
  }
  const holding = await declared.holding(signer.sha256, message.udid);
  if (holding.verdict !== 'own') return foreign(doors);
  // A device that nothing was ever declared for keeps what it has: an empty list would make it drop everything.
  if (holding.list === null) return notFound;
  const manifest = await declared.manifest(holding);
  if (typeof manifest === 'string') return unsigned(doors, declared, holding, manifest);
  const { manifest: served, withheld } = await declared.served(holding.handle!, manifest);
  for (const [item, why] of withheld) {
    if (await declared.tellWithheld(holding.handle!, item, why))
      doors.log.warn('a declaration was withheld', { why: `${why} ${item.identifier}` });
  }
  switch (ask.ask) {
    case 'tokens':
      return ok(tokensAnswer(served), JSON_TYPE);
    case 'declaration-items':
      // The list that core knows: the device has fetched what there is for it to fetch.
      await declared.given(holding.handle!, manifest.token);
      return ok(itemsAnswer(served), JSON_TYPE);
    case 'declaration':
      return one(doors, holding, served, `${ask.kind}/${ask.identifier}`);
  }
}

/** One declaration, if it is on the device's own list; 404 makes a device look at its list again. */
async function one(doors: DeviceDoors, holding: Holding, manifest: Manifest, path: string): Promise<Answer> {
  const item = manifest.items.find(({ kind, identifier }) => `${kind}/${identifier}` === path);
  if (item === undefined) return notFound;
  const body = await doors.declared.body(item);
  if (body === null) return unsigned(doors, doors.declared, holding, `declaration-not-signed ${path}`);
  return body === undefined ? notFound : ok(body, JSON_TYPE);
}

async function unsigned(doors: DeviceDoors, declared: Declared, holding: Holding, what: string): Promise<Answer> {
  doors.log.warn('a declaration was refused', { why: what });
  await declared.unsigned(holding.handle!, what);
  return notFound;
}

function foreign(doors: DeviceDoors): Answer {
  doors.refusals.count('certificate');
  return refused;
}

/** Reduces a status report to what may be kept, and keeps it. Answers the verdict on its sender. Throws WireError `status`. */
export const takeReport = (
  declared: Declared,
  certificate: Buffer,
  udid: string,
  report: Uint8Array,
): Promise<string> => declared.report(certificate, udid, stored(parseStatusReport(report)));

/** A report as SQL takes it. */
function stored(report: ReturnType<typeof parseStatusReport>): object {
  const { full, values, lists, declarations, errors } = report;
  return {
    ...{ full, values, lists },
    ...(declarations === undefined ? {} : { declarations }),
    errors: Object.fromEntries(errors.map(({ item, codes }) => [item, codes])),
  };
}

/** `GET /data/<id>`: what an asset's DataURL or a legacy declaration's ProfileURL points to. */
export async function declaredData(doors: DeviceDoors, id: string): Promise<Answer> {
  const found = await doors.declared.data(id);
  if (found === undefined) {
    doors.refusals.count('link');
    return notFound;
  }
  return ok(found.content, found.type);
}
