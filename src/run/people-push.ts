import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type PlainPerson, peopleOf } from '#people';
import { RunError } from './config.ts';

export interface PushReport {
  readonly created: number;
  readonly changed: number;
  readonly suspended: number;
  /** By line of the file and code; never a value. */
  readonly refused: readonly { readonly line: number; readonly code: string }[];
}

interface Options {
  /** LDIF or CSV with `external_id`. */
  readonly text: string;
  readonly to: string;
  readonly token: string;
  /** File with the external ids of the last push; written anew. Stays on the machine that pushes. */
  readonly ledger?: string;
}

/**
 * Runs where people are kept: reads a file there and speaks SCIM, so that Bartizan never holds a secret of the directory it
 * comes from. Nothing is sent if one line is wrong. Throws RunError.
 */
export async function pushPeople({ text, to, token, ledger }: Options): Promise<PushReport> {
  const url = URL.canParse(to) ? new URL(to) : undefined;
  const safe =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && /^(127\.|localhost$|\[::1\])/.test(url.hostname));
  if (url === undefined || !safe) throw new RunError('usage', 'People are pushed over https only.');
  const base = to.replace(/\/$/, '');
  const read = peopleOf(text);
  if ('refused' in read) return { created: 0, changed: 0, suspended: 0, refused: read.refused };

  const call = async (method: string, path: string, body?: object) => {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await fetch(`${base}${path}`, {
        ...{ method, redirect: 'error' },
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch((cause: unknown) => {
        throw new RunError('start-failed', 'The SCIM address cannot be reached.', { cause });
      });
      const json = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
      if ((answer.status === 429 || answer.status === 503) && attempt < 20) {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        continue;
      }
      if (answer.status === 401) throw new RunError('usage', 'The token is not accepted there.');
      return { status: answer.status, json };
    }
  };
  /** By POST, so that no key of a person stands in an address. */
  const find = async (externalId: string): Promise<string | undefined> => {
    const filter = `externalId eq ${JSON.stringify(externalId)}`;
    const { status, json } = await call('POST', '/Users/.search', { filter });
    if (status !== 200) throw new RunError('start-failed', `The SCIM address answered ${status} to a search.`);
    return (json['Resources'] as { id: string }[] | undefined)?.[0]?.id;
  };

  const counts = { created: 0, changed: 0, suspended: 0 };
  const refused: { line: number; code: string }[] = [];
  for (const { line, person } of read.people) {
    const id = await find(person.externalId);
    const { status } = await call(
      id === undefined ? 'POST' : 'PUT',
      id === undefined ? '/Users' : `/Users/${id}`,
      resource(person),
    );
    if (status >= 300) refused.push({ line, code: `scim-${status}` });
    else if (id === undefined) counts.created += 1;
    else counts.changed += 1;
  }
  if (ledger !== undefined) {
    const now = new Set(read.people.map(({ person }) => person.externalId));
    const before = existsSync(ledger) ? readFileSync(ledger, 'utf8').split('\n').filter(Boolean) : [];
    const missing = before.filter((externalId) => !now.has(externalId));
    if (missing.length > Math.max(5, before.length / 10)) {
      throw new RunError(
        'usage',
        'More than a tenth of the people are missing from this file. Nobody was set inactive; check it.',
      );
    }
    for (const externalId of missing) {
      const id = await find(externalId);
      if (id === undefined) continue;
      const operations = [{ op: 'replace', path: 'active', value: false }];
      const { status } = await call('PATCH', `/Users/${id}`, { schemas: [PATCH_OP], Operations: operations });
      if (status < 300) counts.suspended += 1;
    }
    writeFileSync(`${ledger}.new`, [...now, ''].join('\n'), { mode: 0o600 });
    renameSync(`${ledger}.new`, ledger);
  }
  return { ...counts, refused };
}

const PATCH_OP = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

const resource = (person: PlainPerson): object => ({
  schemas: [USER, ENTERPRISE],
  ...{ userName: person.externalId, externalId: person.externalId, active: true },
  name: { givenName: person.given, familyName: person.family },
  emails: [{ type: 'work', primary: true, value: person.email }],
  phoneNumbers: [{ type: 'mobile', value: person.mobile }],
  ...(person.memberState === '' ? {} : { addresses: [{ type: 'work', country: person.memberState }] }),
  [ENTERPRISE]: { department: person.unit },
});
