import { request } from 'node:http';
import { parseAssertion, parseImportPeople, shape } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';

const parse = shape.object({ document: parseImportPeople, assertion: parseAssertion });

/** Takes an administrator's touch over an import to the ledger. Throws GuardError with the ledger's refusal. */
export async function permitImport({ ledger }: GlassDoors, body: unknown): Promise<object> {
  return ledger.call('import', parse(body));
}

/** Hands a step of an import on to intake, which judges it. What passes is sealed already. Throws GlassError. */
export function relayImport({ intake }: GlassDoors, verb: string, body: unknown): Promise<object> {
  const text = JSON.stringify(body);
  const unreachable = (cause: unknown) =>
    new GlassError('unreachable', 'Intake cannot be reached. Nothing was stored; try again in a moment.', {
      status: 503,
      cause,
    });
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ socketPath: intake, path: `/${verb}`, method: 'POST', timeout: 60_000 },
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', (cause) => reject(unreachable(cause)));
        response.on('end', () => {
          try {
            const answer = JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown>;
            const status = response.statusCode ?? 500;
            if (status < 300) resolve(answer);
            else reject(new GlassError(String(answer['code']), String(answer['title']), { status }));
          } catch (cause) {
            reject(unreachable(cause));
          }
        });
      },
    );
    call.on('error', (cause) => reject(unreachable(cause)));
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.end(text);
  });
}
