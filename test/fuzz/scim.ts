import {
  parseScimFilter,
  readScimGroup,
  readScimGroupPatch,
  readScimJson,
  readScimUser,
  readScimUserPatch,
  WireError,
} from '#wire';
import { Broken, checkTexts, type Target } from './target.ts';
import { JSON_WORDS } from './words.ts';

const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const ID = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';

const user = {
  ...{ schemas: [USER], userName: 'a@example.org', externalId: 'x', active: 'True', displayName: 'A B' },
  ...{ name: { givenName: 'A', familyName: 'B' }, emails: [{ type: 'work', primary: 'true', value: 'a@example.org' }] },
  ...{ phoneNumbers: [{ type: 'mobile', value: 'tel:+44-7700-900001' }], addresses: [{ country: 'FR' }] },
  [ENTERPRISE]: { department: 'D', manager: { value: ID } },
};
const patch = (...Operations: object[]) => text({ Operations });

/** Bodies of SCIM requests: each is read as everything that it could be. */
export function scimTarget(): Target {
  return {
    ...{ name: 'scim', form: 'json', maxBytes: 256 * 1024 },
    words: [
      ...JSON_WORDS,
      ...[
        '"op":"Replace"',
        '"path":"emails[type eq \\"work\\"].value"',
        '"value":"False"',
        '"Operations":[',
        '"members":[',
      ].map((one) => Buffer.from(one)),
      ...[
        'members[value eq \\"',
        `"${ENTERPRISE}:department"`,
        '"name.givenName"',
        '"__proto__":{',
        `"value":"${ID}"`,
      ].map((one) => Buffer.from(one)),
    ],
    seeds: [
      text(user),
      text({ ...user, active: false, emails: [], phoneNumbers: null }),
      text({ schemas: [USER], userName: 'b' }),
      patch({ op: 'Replace', path: 'active', value: [{ value: 'False' }] }),
      patch(
        { op: 'Add', path: 'emails[type eq "work"].value', value: 'a@example.org' },
        { op: 'remove', path: 'phoneNumbers' },
      ),
      patch({
        op: 'replace',
        value: { 'name.givenName': 'A', 'name.familyName': 'B', [`${ENTERPRISE}:department`]: { value: 'D' } },
      }),
      patch(
        { op: 'Remove', path: `members[value eq "${ID}"]` },
        { op: 'add', path: 'members', value: [{ value: ID }] },
      ),
      text({ displayName: 'Unit', members: [{ value: ID }, { value: ID }], externalId: 'g' }),
      text({ userName: '\u0000', displayName: '\ud800' }),
      Buffer.from(`${'['.repeat(40)}${']'.repeat(40)}`),
      Buffer.from(`{"userName":"a","emails":${'[{"value":'.repeat(9)}"a"${'}]'.repeat(9)}}`),
    ],
    parse: (input) => {
      const body = readScimJson(input);
      const ways: string[] = [];
      const readers = {
        user: readScimUser,
        patch: readScimUserPatch,
        group: readScimGroup,
        members: readScimGroupPatch,
      };
      let read = 0;
      let refusal: WireError | undefined;
      for (const [name, reader] of Object.entries(readers)) {
        try {
          const change = reader(body);
          checkTexts(change);
          for (const [member, value] of Object.entries(change)) {
            if (typeof value === 'string' && (value !== value.trim() || value === ''))
              throw new Broken(`${member} is not trimmed`);
          }
          read += 1;
          ways.push(`${name} ${Object.keys(change).sort().join()}`);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          refusal = error;
        }
      }
      const filter = body.get('filter') ?? body.get('username');
      if (typeof filter === 'string') {
        for (const asked of [filter, `userName eq ${JSON.stringify(filter)}`]) {
          try {
            checkTexts(parseScimFilter(asked, ['userName']));
            ways.push('filter');
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
          }
        }
      }
      if (read === 0 && refusal !== undefined) throw refusal;
      return ways.join(' | ');
    },
  };
}
