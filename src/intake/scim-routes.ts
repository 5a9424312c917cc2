import {
  type Attributes,
  LIST_SCHEMA,
  parseScimFilter,
  resourceTypes,
  ScimRefusal,
  scimSchemas,
  sentByPatch,
  serviceProviderConfig,
} from '#wire';
import { etag, groupAnswer, listAnswer, userAnswer } from './answers.ts';
import type { IntakeDoors } from './doors.ts';
import { changeGroup, createGroup, deleteGroup, findGroup, getGroup } from './groups.ts';
import { Turns } from './turns.ts';
import { createUser, deleteUser, findUser, getUser, patchUser, replaceUser } from './users.ts';

/** A request after authentication, with its body read. */
export interface ScimRequest {
  readonly source: string;
  readonly method: string;
  /** After the base path. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly body: Attributes | undefined;
}

export interface ScimAnswer {
  readonly status: number;
  readonly body?: object;
  readonly etag?: string;
  readonly location?: string;
}

const UUID_PATH = /^\/(Users|Groups)\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;

const notFound = () => new ScimRefusal(404, undefined, 'There is nothing at this address.');
const notOffered = (what: string) => new ScimRefusal(501, undefined, `${what} is not offered here.`);
const method = () => new ScimRefusal(405, undefined, 'This method is not for this address.');
const bodyOf = (request: ScimRequest): Attributes => {
  if (request.body === undefined) throw new ScimRefusal(400, 'invalidSyntax', 'A body is missing.');
  return request.body;
};

/** The number in `W/"7"`; null if any version will do. Throws ScimRefusal 412 for a tag that was never ours. */
function versionIn(tag: string | undefined): number | null {
  if (tag === undefined || tag.trim() === '*') return null;
  const [, digits] = /^\s*(?:W\/)?"([0-9]{1,15})"\s*$/.exec(tag) ?? [];
  if (digits === undefined) throw new ScimRefusal(412, undefined, 'This is another version.');
  return Number(digits);
}

/** Which methods an address knows; asked before a body is read. Throws ScimRefusal 404, 405, 501. */
export function mustFit(verb: string, path: string): void {
  const [, kind = '', rest] = /^\/(\w+)(?:\/(.+))?$/.exec(path) ?? [];
  if (kind === 'Bulk' || kind === 'Me' || path === '/.search') throw notOffered(path);
  if (kind === 'Users' || kind === 'Groups') {
    const methods =
      rest === undefined ? ['GET', 'POST'] : rest === '.search' ? ['POST'] : ['GET', 'PUT', 'PATCH', 'DELETE'];
    if (!methods.includes(verb)) throw method();
  } else if (!['ServiceProviderConfig', 'ResourceTypes', 'Schemas'].includes(kind)) throw notFound();
  else if (verb !== 'GET') throw method();
}

const pageOf = (query: URLSearchParams) => {
  const read = (name: string, fallback: number) => {
    const value = Number(query.get(name) ?? fallback);
    return Number.isSafeInteger(value) ? value : fallback;
  };
  return { startIndex: Math.max(1, read('startIndex', 1)), count: Math.max(0, read('count', 100)) };
};

/** All of RFC 7644 that is offered, in one place. Throws ScimRefusal. */
export function scimRoutes(doors: IntakeDoors): (request: ScimRequest) => Promise<ScimAnswer> {
  const turns = new Turns();
  const base = doors.scimUrl;

  async function users(request: ScimRequest): Promise<ScimAnswer> {
    const { source, method: verb, query } = request;
    if (verb === 'GET' || request.path.endsWith('/.search')) {
      const filter = query.get('filter');
      if (filter === null) return { status: 200, body: listAnswer(undefined, pageOf(query)) };
      const asked = parseScimFilter(filter, ['userName', 'externalId', 'id']);
      const found = await findUser(doors, source, asked);
      // Of the key itself only whoever asked knew the text.
      const sent = asked.by === 'id' ? undefined : new Map([[asked.by.toLowerCase(), asked.value]]);
      return { status: 200, body: listAnswer(found && userAnswer(base, found, sent), pageOf(query)) };
    }
    if (verb !== 'POST') throw method();
    const body = bodyOf(request);
    const made = await createUser(doors, source, body);
    return {
      status: 201,
      body: userAnswer(base, made, body),
      etag: etag(made.version),
      location: `${base}/Users/${made.id}`,
    };
  }

  async function user(request: ScimRequest, id: string): Promise<ScimAnswer> {
    const { source, method: verb } = request;
    if (verb === 'GET') {
      const found = await getUser(doors, source, id);
      if (found === undefined) throw new ScimRefusal(404, undefined, 'There is nobody with this id.');
      if (request.ifNoneMatch !== undefined && versionIn(request.ifNoneMatch) === found.version) {
        return { status: 304, etag: etag(found.version) };
      }
      return { status: 200, body: userAnswer(base, found), etag: etag(found.version) };
    }
    const ifVersion = versionIn(request.ifMatch);
    if (verb === 'DELETE') {
      await turns.take(id, () => deleteUser(doors, source, id, ifVersion));
      return { status: 204 };
    }
    if (verb !== 'PUT' && verb !== 'PATCH') throw method();
    const body = bodyOf(request);
    const change = verb === 'PUT' ? replaceUser : patchUser;
    const now = await turns.take(id, () => change(doors, source, id, body, ifVersion));
    return {
      status: 200,
      body: userAnswer(base, now, verb === 'PUT' ? body : sentByPatch(body)),
      etag: etag(now.version),
    };
  }

  async function groups(request: ScimRequest): Promise<ScimAnswer> {
    const { source, method: verb, query } = request;
    if (verb === 'GET' || request.path.endsWith('/.search')) {
      const filter = query.get('filter');
      if (filter === null) return { status: 200, body: listAnswer(undefined, pageOf(query)) };
      const asked = parseScimFilter(filter, ['displayName', 'externalId', 'id']);
      const found = await findGroup(doors, source, asked);
      const sent = asked.by === 'id' ? undefined : new Map([[asked.by.toLowerCase(), asked.value]]);
      return { status: 200, body: listAnswer(found && groupAnswer(base, found, sent), pageOf(query)) };
    }
    if (verb !== 'POST') throw method();
    const body = bodyOf(request);
    const made = await createGroup(doors, source, body);
    return {
      status: 201,
      body: groupAnswer(base, made, body),
      etag: etag(made.version),
      location: `${base}/Groups/${made.id}`,
    };
  }

  async function group(request: ScimRequest, id: string): Promise<ScimAnswer> {
    const { source, method: verb } = request;
    if (verb === 'GET') {
      const found = await getGroup(doors, source, id);
      if (found === undefined) throw new ScimRefusal(404, undefined, 'There is no group with this id.');
      return { status: 200, body: groupAnswer(base, found), etag: etag(found.version) };
    }
    const ifVersion = versionIn(request.ifMatch);
    if (verb === 'DELETE') {
      await turns.take(id, () => deleteGroup(doors, source, id, ifVersion));
      return { status: 204 };
    }
    if (verb !== 'PUT' && verb !== 'PATCH') throw method();
    const body = bodyOf(request);
    const how = { whole: verb === 'PUT', ifVersion };
    const now = await turns.take(id, () => changeGroup(doors, source, id, body, how));
    return {
      status: 200,
      body: groupAnswer(base, now, verb === 'PUT' ? body : sentByPatch(body)),
      etag: etag(now.version),
    };
  }

  function constant({ method: verb, path }: ScimRequest): ScimAnswer {
    const lists = { ResourceTypes: resourceTypes(base), Schemas: scimSchemas(base) };
    const [, name = '', id] = /^\/(ResourceTypes|Schemas|ServiceProviderConfig)(?:\/([^/]+))?$/.exec(path) ?? [];
    if (name === '') throw notFound();
    if (verb !== 'GET') throw method();
    if (name === 'ServiceProviderConfig') return { status: 200, body: serviceProviderConfig(base) };
    const list = lists[name as keyof typeof lists];
    if (id === undefined) {
      const all = { totalResults: list.length, itemsPerPage: list.length, startIndex: 1, Resources: list };
      return { status: 200, body: { schemas: [LIST_SCHEMA], ...all } };
    }
    const one = list.find((each) => each.id === id);
    if (one === undefined) throw notFound();
    return { status: 200, body: one };
  }

  return async (request) => {
    const { path } = request;
    if (path === '/Users' || path === '/Users/.search') return users(request);
    if (path === '/Groups' || path === '/Groups/.search') return groups(request);
    const [, kind, id] = UUID_PATH.exec(path) ?? [];
    if (id !== undefined)
      return kind!.toLowerCase() === 'users' ? user(request, id.toLowerCase()) : group(request, id.toLowerCase());
    if (/^\/(Users|Groups)\//.test(path)) throw notFound();
    return constant(request);
  };
}
