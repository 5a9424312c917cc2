import { createServer, type Server } from 'node:http';
import { BartizanError, type Logger, toProblem } from '#base';
import { parseImportPermit, type Shape, shape } from '#seal';
import { readBody } from './body.ts';
import type { IntakeDoors } from './doors.ts';
import { IntakeError } from './error.ts';
import { SOURCE } from './tokens.ts';
import { Upload } from './upload.ts';

const BODY_BYTES = 512 * 1024;
const { object, list, text, integer, optional, base64url } = shape;

const importId = text(36, { min: 36, pattern: /^[0-9a-f-]{36}$/ });
const hashes = list(base64url(32), 2_000);
const partNumber = integer(0, 2_000);

type Verb = (upload: Upload, body: unknown) => Promise<object>;
const verb =
  <T>(parse: Shape<T>, act: (upload: Upload, body: T) => object | Promise<object>): Verb =>
  async (upload, body) =>
    act(upload, parse(body));

/** All that glass may ask of intake. What passes is ciphertext, handles, units and countries. */
const VERBS: Readonly<Record<string, Verb>> = {
  begin: verb(
    object({ permit: parseImportPermit, hashes, source: text(31, { pattern: SOURCE }) }),
    (upload, { permit, hashes: all, source }) => upload.begin(permit, all, source),
  ),
  places: verb(
    object({ import: importId, part: partNumber, count: integer(0, 1000), box: optional(base64url(48, 192 * 1024)) }),
    async (upload, { import: id, part, count, box }) => ({ places: await upload.of(id).places(part, count, box) }),
  ),
  send: verb(
    object({ permit: parseImportPermit, hashes, domain: text(80) }),
    (upload, { permit, hashes: all, domain }) => upload.of(permit.import).send(permit, all, domain),
  ),
  part: verb(
    object({ import: importId, part: partNumber, text: text(BODY_BYTES) }),
    (upload, { import: id, part, text: lines }) => upload.of(id).part(part, lines),
  ),
  missing: verb(object({ import: importId }), (upload, { import: id }) => upload.of(id).missing()),
  finish: verb(object({ import: importId }), (upload, { import: id }) => upload.finish(id)),
  cancel: verb(object({ import: importId }), (upload, { import: id }) => upload.cancel(id)),
};

/** Glass's own door to intake, on a Unix socket that only glass can reach: `POST /<verb>`, JSON. */
export function uploadServer(doors: IntakeDoors, log: Logger): Server {
  const upload = new Upload(doors);
  return createServer({ requestTimeout: 60_000, maxHeaderSize: 4096 }, (request, response) => {
    const answer = (status: number, body: object) => {
      if (response.headersSent || response.destroyed) return;
      if (!request.complete) response.setHeader('connection', 'close');
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify(body));
    };
    void (async () => {
      const name = (request.url ?? '').slice(1);
      const known = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
      if (request.method !== 'POST' || known === undefined) {
        throw new IntakeError('not-found', 'There is nothing at this address.', { status: 404 });
      }
      const bytes = await readBody(request, BODY_BYTES);
      let body: unknown;
      try {
        body = JSON.parse(bytes.toString('utf8'));
      } catch {
        throw new IntakeError('bad-request', 'The body is not JSON. Nothing was changed.');
      }
      answer(200, await known(upload, body));
    })().catch((error: unknown) => {
      if (!(error instanceof BartizanError)) log.error('an import failed', error);
      const problem = toProblem(error);
      answer(problem.status, problem);
    });
  });
}
