import { canonicalJson } from '#base';
import { declarationsToken, type Item, KINDS, type Kind } from './declaration.ts';

/** What a device asks in a DeclarativeManagement check-in (its key `Endpoint`). */
export type Ask =
  | { readonly ask: 'tokens' | 'declaration-items' | 'status' }
  | { readonly ask: 'declaration'; readonly kind: Kind; readonly identifier: string };

/** Reads an Endpoint; undefined if there is no such one. */
export function parseEndpoint(endpoint: string): Ask | undefined {
  if (endpoint === 'tokens' || endpoint === 'declaration-items' || endpoint === 'status') return { ask: endpoint };
  const [, kind, identifier] = /^declaration\/([a-z]+)\/([A-Za-z0-9][A-Za-z0-9._-]{0,127})$/.exec(endpoint) ?? [];
  if (kind === undefined || !(KINDS as readonly string[]).includes(kind)) return undefined;
  return { ask: 'declaration', kind: kind as Kind, identifier: identifier! };
}

/** The list that a device works through, signed by core as it is stored. */
export interface Manifest {
  readonly token: string;
  readonly items: readonly Item[];
  /** When the list became what it is, Unix seconds. */
  readonly at: number;
}

/** Apple's TokensResponse. The same list always gives the same bytes: devices read until two answers agree. */
export function tokensAnswer({ token, at }: Pick<Manifest, 'token' | 'at'>): Buffer {
  const timestamp = new Date(at * 1000).toISOString().replace('.000Z', 'Z');
  return Buffer.from(canonicalJson({ SyncTokens: { DeclarationsToken: token, Timestamp: timestamp } }));
}

/** Apple's DeclarationItemsResponse. */
export function itemsAnswer({ token, items }: Pick<Manifest, 'token' | 'items'>): Buffer {
  const of = (kind: Kind) =>
    items
      .filter((item) => item.kind === kind)
      .map((item) => ({ Identifier: item.identifier, ServerToken: item.token }));
  return Buffer.from(
    canonicalJson({
      Declarations: {
        Activations: of('activation'),
        Assets: of('asset'),
        Configurations: of('configuration'),
        Management: of('management'),
      },
      DeclarationsToken: token,
    }),
  );
}

/** Whether a manifest's token is the one of its items. */
export const consistent = ({ token, items }: Manifest): boolean => declarationsToken(items) === token;
