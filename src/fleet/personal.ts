import type { Json } from '#base';
import { isDict, type Plist } from '#wire';
import { FleetError } from './error.ts';
import { readProfile } from './profiles/read.ts';

/** What a text in a profile, a declaration or an app's configuration looks like that is not to stand there. */
export type PersonalKind = 'address' | 'number' | 'placeholder';

export const PERSONAL_WORDS: Readonly<Record<PersonalKind, string>> = {
  address: 'looks like a person’s e-mail address, which is not kept in clear here',
  number: 'looks like a person’s number, which is not kept in clear here',
  placeholder:
    'is a placeholder for something of a person: nothing is filled in here, devices would get it as it stands',
};

const ADDRESS = /[\p{L}\p{N}._%+'-]+@(?!\dx\.)[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)*\.\p{L}{2,}/u;
const NUMBER = /^\s*\+\d[\d ()-]{7,}\s*$/;
const OF_A_PERSON = '(e?_?mail|full_?name|first_?name|last_?name|user_?name|phone|mobile|upn|apple_?id)';
const PLACEHOLDER = new RegExp(
  `%\\{[a-z_.]*${OF_A_PERSON}[a-z_.]*\\}|\\{\\{[^}]*${OF_A_PERSON}[^}]*\\}\\}|\\$\\{?[a-z_]*${OF_A_PERSON}[a-z_]*\\}?`,
  'i',
);

/** Undefined for what may stand there. A guess from its looks: a name looks like nothing. */
export function looksPersonal(text: string): PersonalKind | undefined {
  if (PLACEHOLDER.test(text)) return 'placeholder';
  if (ADDRESS.test(text)) return 'address';
  return NUMBER.test(text) ? 'number' : undefined;
}

/** Texts that look personal, by their path. At most 20 levels are looked through. */
export function personalIn(value: Json | Plist, path = '', depth = 0): { path: string; kind: PersonalKind }[] {
  if (typeof value === 'string') {
    const kind = looksPersonal(value);
    return kind === undefined ? [] : [{ path, kind }];
  }
  if (depth > 20 || typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const entries = isDict(value as Plist) ? [...(value as Map<string, Plist>)] : Object.entries(value);
  return entries.flatMap(([name, inner]) =>
    personalIn(inner as Json, path === '' ? name : `${path}.${name}`, depth + 1),
  );
}

/** Throws FleetError `bad-request` for a profile in which a text looks personal, and says where, not what. */
export function refusePersonal(profile: Uint8Array): void {
  const [first] = personalIn(readProfile(profile).root as Plist);
  if (first === undefined) return;
  throw new FleetError('bad-request', `${first.path.slice(0, 120)} ${PERSONAL_WORDS[first.kind]}.`);
}
