import { holds } from './ddm-predicate.ts';
import { changes, DdmError, nested, readJson, tokenIn } from './ddm-wire.ts';

/** Says one thing to a server's DeclarativeManagement check-in and gives its answer: HTTP status and body. */
export type Transport = (endpoint: string, data?: Uint8Array) => Promise<{ status: number; body: Uint8Array }>;

/** Status values by path, as the device knows them. */
export type Facts = { readonly [path: string]: unknown };

export const DDM_KINDS = ['activation', 'asset', 'configuration', 'management'] as const;
export type DdmKind = (typeof DDM_KINDS)[number];

/** A declaration as the device holds it. */
export interface HeldDeclaration {
  readonly kind: DdmKind;
  readonly identifier: string;
  readonly token: string;
  readonly type: string;
  readonly payload: { readonly [key: string]: unknown };
}

export interface DeclarationStatus {
  readonly identifier: string;
  readonly 'server-token': string;
  active: boolean;
  valid: 'valid' | 'invalid' | 'unknown';
  reasons?: { code: string; description?: string }[];
}

/** What goes wrong on purpose; numbers count down. */
export interface DdmBehaviour {
  /** Calls declarations with these identifiers invalid, with this reason. */
  invalid?: { readonly identifiers: readonly string[]; readonly code: string };
  /** Sends garbage in place of that many status reports. */
  garbage?: number;
  /** Works everything through and reports nothing. */
  silent?: boolean;
  /** Believes its list is the newest for that many synchronisations, whatever the server says. */
  staleToken?: number;
}

/** Everything a client remembers; plain JSON. */
export interface DdmState {
  token: string | null;
  held: HeldDeclaration[];
  /** What the server was told last, by path; for incremental reports. */
  told: { [path: string]: unknown };
}

export const newDdmState = (): DdmState => ({ token: null, held: [], told: {} });

interface Listed {
  readonly token: string;
  readonly wanted: readonly { readonly kind: DdmKind; readonly identifier: string; readonly token: string }[];
}

const DECLARATIONS = 'management.declarations';
const SPELLED: Readonly<Record<DdmKind, string>> = {
  activation: 'Activations',
  asset: 'Assets',
  configuration: 'Configurations',
  management: 'Management',
};

/**
 * A device's side of declarative management, for any server: reads tokens until two answers agree, fetches what changed,
 * switches on what an activation names, reports what was subscribed. Stands alone: a transport and facts are all it needs.
 */
export class DdmClient {
  readonly state: DdmState;
  readonly #transport: Transport;
  readonly #facts: () => Facts;
  readonly #behaviour: DdmBehaviour;
  /** How often each endpoint was asked, for tests. */
  readonly asked = new Map<string, number>();

  constructor(
    transport: Transport,
    options: { readonly facts: () => Facts; readonly state?: DdmState; readonly behaviour?: DdmBehaviour },
  ) {
    this.#transport = transport;
    this.#facts = options.facts;
    this.state = options.state ?? newDdmState();
    this.#behaviour = options.behaviour ?? {};
  }

  /**
   * One synchronisation, as a DeclarativeManagement command starts it: `data` is the command's Data. Reports afterwards.
   * Returns how many declarations were fetched; -1 if the server has nothing for this device.
   */
  async synchronise(data?: Uint8Array): Promise<number> {
    const stale = this.#behaviour.staleToken ?? 0;
    if (stale > 0) {
      this.#behaviour.staleToken = stale - 1;
      return 0;
    }
    let token = data === undefined ? await this.#token() : tokenIn(data);
    if (token === null) return -1;
    if (token === this.state.token) return 0;
    let fetched = 0;
    for (let round = 1; ; round += 1) {
      const items = await this.#items();
      fetched += await this.#take(items);
      this.state.token = items.token;
      const again = await this.#token();
      // Two answers agree, or the server never keeps still: Apple's clients give up after three.
      if (again === token && again === items.token) break;
      if (round === 3) throw new DdmError('the declarations token changes from one answer to the next');
      if (again === null) break;
      token = again;
    }
    await this.report({ full: false });
    return fetched;
  }

  async #ask(endpoint: string, data?: Uint8Array): Promise<{ status: number; body: Uint8Array }> {
    const kind = endpoint.split('/')[0]!;
    this.asked.set(kind, (this.asked.get(kind) ?? 0) + 1);
    return this.#transport(endpoint, data);
  }

  async #token(): Promise<string | null> {
    const { status, body } = await this.#ask('tokens');
    if (status === 404) return null;
    if (status !== 200) throw new DdmError('tokens were refused', status);
    return tokenIn(body);
  }

  async #items(): Promise<Listed> {
    const { status, body } = await this.#ask('declaration-items');
    if (status !== 200) throw new DdmError('declaration-items were refused', status);
    const answer = readJson(body) as {
      Declarations?: Record<string, { Identifier?: unknown; ServerToken?: unknown }[]>;
      DeclarationsToken?: unknown;
    };
    if (typeof answer.DeclarationsToken !== 'string') throw new DdmError('declaration-items have no DeclarationsToken');
    const wanted = DDM_KINDS.flatMap((kind) => {
      const list = answer.Declarations?.[SPELLED[kind]];
      if (!Array.isArray(list)) throw new DdmError(`declaration-items have no ${SPELLED[kind]}`);
      return list.map(({ Identifier: identifier, ServerToken: token }) => {
        if (typeof identifier !== 'string' || typeof token !== 'string') throw new DdmError('an item is incomplete');
        return { kind, identifier, token };
      });
    });
    return { token: answer.DeclarationsToken, wanted };
  }

  async #take(items: Listed): Promise<number> {
    const before = new Map(this.state.held.map((one) => [`${one.kind}/${one.identifier}`, one]));
    const held: HeldDeclaration[] = [];
    let fetched = 0;
    for (const { kind, identifier, token } of items.wanted) {
      const known = before.get(`${kind}/${identifier}`);
      if (known !== undefined && known.token === token) {
        held.push(known);
        continue;
      }
      const { status, body } = await this.#ask(`declaration/${kind}/${identifier}`);
      // Taken away since the list was read: the next round shows it.
      if (status === 404) continue;
      if (status !== 200) throw new DdmError('a declaration was refused', status);
      const found = readJson(body) as { Type?: string; Identifier?: string; ServerToken?: string; Payload?: object };
      if (found.Identifier !== identifier || typeof found.Type !== 'string' || typeof found.Payload !== 'object') {
        throw new DdmError('a declaration is not the one that was asked for');
      }
      if (found.ServerToken !== token) continue;
      held.push({ kind, identifier, token, type: found.Type, payload: found.Payload as HeldDeclaration['payload'] });
      fetched += 1;
    }
    this.state.held = held;
    return fetched;
  }

  /** How each declaration stands: what an activation names is active if its predicate holds and it is valid. */
  statuses(): Map<DdmKind, DeclarationStatus[]> {
    const facts = this.#facts();
    const { held } = this.state;
    const wrong = this.#behaviour.invalid;
    const named = new Set<string>();
    const broken = new Map<string, string>();
    for (const one of held) {
      if (wrong?.identifiers.includes(one.identifier)) broken.set(one.identifier, wrong.code);
      if (one.type !== 'com.apple.activation.simple') continue;
      const { Predicate: predicate, StandardConfigurations: configurations } = one.payload;
      try {
        if (broken.has(one.identifier)) continue;
        if (typeof predicate !== 'string' || holds(predicate, facts)) {
          for (const name of Array.isArray(configurations) ? configurations : []) named.add(String(name));
          named.add(one.identifier);
        }
      } catch {
        broken.set(one.identifier, 'Error.PredicateFailed');
      }
    }
    const used = new Set(
      held.filter(({ identifier }) => named.has(identifier)).flatMap(({ payload }) => texts(payload)),
    );
    const of = (one: HeldDeclaration): DeclarationStatus => {
      const code = broken.get(one.identifier);
      const on =
        one.kind === 'management' || named.has(one.identifier) || (one.kind === 'asset' && used.has(one.identifier));
      return {
        identifier: one.identifier,
        'server-token': one.token,
        // Nothing activates a management declaration: devices call it valid and not active.
        active: on && one.kind !== 'management' && code === undefined,
        valid: code === undefined ? (on ? 'valid' : 'unknown') : 'invalid',
        ...(code === undefined ? {} : { reasons: [{ code, description: 'this simulated device says so' }] }),
      };
    };
    return new Map(DDM_KINDS.map((kind) => [kind, held.filter((one) => one.kind === kind).map(of)]));
  }

  /** Identifiers of active configurations. */
  active(): HeldDeclaration[] {
    const on = new Set(
      this.statuses()
        .get('configuration')!
        .filter(({ active }) => active)
        .map(({ identifier }) => identifier),
    );
    return this.state.held.filter(({ kind, identifier }) => kind === 'configuration' && on.has(identifier));
  }

  #subscribed(): string[] {
    return this.active()
      .filter(({ type }) => type === 'com.apple.configuration.management.status-subscriptions')
      .flatMap(({ payload }) => (Array.isArray(payload['StatusItems']) ? payload['StatusItems'] : []))
      .flatMap((item) => (typeof item === 'object' && item !== null && 'Name' in item ? [String(item.Name)] : []));
  }

  /** Sends a status report: everything that is subscribed, or what changed since the last one. Sends nothing if nothing did. */
  async report(options: { readonly full: boolean }): Promise<void> {
    if (this.#behaviour.silent) return;
    const facts = this.#facts();
    const now: { [path: string]: unknown } = {};
    const errors: { StatusItem: string; Reasons: { Code: string }[] }[] = [];
    for (const path of new Set(this.#subscribed())) {
      if (path === DECLARATIONS) continue;
      if (Object.hasOwn(facts, path)) now[path] = facts[path];
      else errors.push({ StatusItem: path, Reasons: [{ Code: 'Error.NotSupported' }] });
    }
    const of = this.statuses();
    now[DECLARATIONS] = {
      activations: of.get('activation'),
      configurations: of.get('configuration'),
      assets: of.get('asset'),
      management: of.get('management'),
    };
    const items: { [path: string]: unknown } = {};
    for (const [path, value] of Object.entries(now)) {
      if (options.full) items[path] = value;
      else if (JSON.stringify(value) !== JSON.stringify(this.state.told[path])) {
        items[path] = Array.isArray(value) ? changes(this.state.told[path], value) : value;
      }
    }
    if (!options.full && Object.keys(items).length === 0) return;
    const body = JSON.stringify({
      StatusItems: nested(items),
      Errors: errors,
      ...(options.full ? { FullReport: true } : {}),
    });
    const garbage = this.#behaviour.garbage ?? 0;
    if (garbage > 0) this.#behaviour.garbage = garbage - 1;
    const { status } = await this.#ask('status', Buffer.from(garbage > 0 ? body.slice(0, body.length / 2) : body));
    if (garbage > 0) return;
    if (status !== 200) throw new DdmError('the status report was refused', status);
    this.state.told = structuredClone(now);
  }
}

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(texts);
}
