/** The constant documents of RFC 7644 section 4. They say what holds here: nothing personal is ever returned by a query. */

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const ENTERPRISE_SCHEMA = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';
export const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error';

const meta = (base: string, resourceType: string, path: string) => ({ resourceType, location: `${base}${path}` });

export function serviceProviderConfig(base: string): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: 1 },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: true },
    authenticationSchemes: [
      {
        ...{ type: 'oauthbearertoken', name: 'Bearer token', primary: true },
        description: 'A token made by the operator (bartizan people token)',
        specUri: 'https://www.rfc-editor.org/rfc/rfc6750',
      },
    ],
    meta: meta(base, 'ServiceProviderConfig', '/ServiceProviderConfig'),
  };
}

interface Named {
  readonly id: string;
  readonly [member: string]: unknown;
}

export function resourceTypes(base: string): readonly Named[] {
  const schemas = ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'];
  return [
    {
      ...{ schemas, id: 'User', name: 'User', endpoint: '/Users', description: 'A person', schema: USER_SCHEMA },
      schemaExtensions: [{ schema: ENTERPRISE_SCHEMA, required: false }],
      meta: meta(base, 'ResourceType', '/ResourceTypes/User'),
    },
    {
      ...{ schemas, id: 'Group', name: 'Group', endpoint: '/Groups', description: 'A unit', schema: GROUP_SCHEMA },
      meta: meta(base, 'ResourceType', '/ResourceTypes/Group'),
    },
  ];
}

interface Attribute {
  readonly name: string;
  readonly type?: string;
  readonly required?: boolean;
  readonly many?: boolean;
  readonly exact?: boolean;
  readonly uniqueness?: string;
  /** RFC 7643 section 7: `request` is returned to whoever has just sent it, and to nobody else. */
  readonly returned?: string;
  readonly mutability?: string;
  readonly parts?: readonly Attribute[];
  /** What a `reference` may point at. */
  readonly references?: readonly string[];
}

function described({
  name,
  type = 'string',
  required = false,
  many = false,
  exact = false,
  ...more
}: Attribute): object {
  const { uniqueness = 'none', returned = 'request', mutability = 'readWrite', parts, references } = more;
  return {
    ...{ name, type, multiValued: many, required, caseExact: exact, description: name },
    ...{ mutability, returned, uniqueness },
    ...(parts === undefined ? {} : { subAttributes: parts.map(described) }),
    ...(references === undefined ? {} : { referenceTypes: references }),
  };
}

const ENTRY: readonly Attribute[] = [{ name: 'value' }, { name: 'type' }, { name: 'primary', type: 'boolean' }];
const NAME: readonly Attribute[] = [{ name: 'formatted' }, { name: 'familyName' }, { name: 'givenName' }];
const USER: readonly Attribute[] = [
  { name: 'userName', required: true, uniqueness: 'server' },
  { name: 'name', type: 'complex', parts: NAME },
  { name: 'displayName' },
  { name: 'active', type: 'boolean', returned: 'default' },
  { name: 'emails', type: 'complex', many: true, parts: ENTRY },
  { name: 'phoneNumbers', type: 'complex', many: true, parts: ENTRY },
];
const GROUP: readonly Attribute[] = [
  { name: 'displayName', required: true },
  {
    ...{ name: 'members', type: 'complex', many: true },
    parts: [
      { name: 'value', mutability: 'immutable' },
      { name: '$ref', type: 'reference', mutability: 'immutable', references: ['User'] },
    ],
  },
];

export function scimSchemas(base: string): readonly Named[] {
  const schema = (id: string, name: string, attributes: readonly Attribute[]) => ({
    ...{ schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'], id, name, description: name },
    attributes: attributes.map(described),
    meta: meta(base, 'Schema', `/Schemas/${id}`),
  });
  return [
    schema(USER_SCHEMA, 'User', USER),
    schema(GROUP_SCHEMA, 'Group', GROUP),
    schema(ENTERPRISE_SCHEMA, 'EnterpriseUser', [{ name: 'department' }]),
  ];
}
