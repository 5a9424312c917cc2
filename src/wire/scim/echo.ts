import { ENTERPRISE_SCHEMA } from './documents.ts';
import { type Attributes, attributes } from './json.ts';
import { parsePath } from './path.ts';
import { operationsOf } from './user.ts';

/** Sub-attributes of a name under their proper names. */
const NAME: Readonly<Record<string, string>> = {
  givenname: 'givenName',
  familyname: 'familyName',
  formatted: 'formatted',
};

/**
 * What a PatchOp itself says of a resource, as one would write it in a resource: attributes that are returned on `request` are
 * returned to whoever has just sent them (RFC 7643 section 7), and a provider that finds its values in the answer sends no more.
 */
export function sentByPatch(body: Attributes): Attributes {
  const sent = new Map<string, unknown>();
  for (const { op, path, value } of operationsOf(body)) {
    if (op === 'remove') continue;
    if (path === undefined) for (const [name, one] of attributes(value)) put(sent, name, one);
    else put(sent, path, value);
  }
  return sent;
}

function put(sent: Map<string, unknown>, text: string, value: unknown): void {
  const path = parsePath(text);
  if (path === undefined) return;
  const { enterprise, attribute, sub, chosen } = path;
  if (enterprise) {
    if (attribute === 'department') sent.set(ENTERPRISE_SCHEMA.toLowerCase(), { department: value });
    if (attribute === '') sent.set(ENTERPRISE_SCHEMA.toLowerCase(), value);
  } else if (attribute === 'name' && NAME[sub] !== undefined) {
    const name = sent.get('name');
    sent.set('name', { ...(typeof name === 'object' ? name : {}), [NAME[sub]]: value });
  } else if (sub === 'value' && chosen['type'] !== undefined) {
    const list = sent.get(attribute);
    sent.set(attribute, [...(Array.isArray(list) ? (list as unknown[]) : []), { type: chosen['type'], value }]);
  } else if (sub === '' && Object.keys(chosen).length === 0) sent.set(attribute, value);
}
