import { parseAssertion, parseDehydrate, parseSearch, type Searched, sealedQuery, shape } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';
import { rowsOf } from './reveal.ts';

const { object, integer } = shape;
const question = object({ search: parseSearch, assertion: parseAssertion, seq: integer(1, 1_000), ...sealedQuery });
const end = object({ document: parseDehydrate, assertion: parseAssertion });

/** What the sealer says of its searches. `wants`: whose rows it needs. */
interface Status {
  readonly key: string;
  readonly searches: readonly {
    readonly field: Searched;
    readonly hours: number;
    readonly until?: number;
    readonly known?: number;
    readonly complete?: boolean;
    readonly waiting?: number;
    readonly wants?: readonly string[];
  }[];
}

function mustBeOn({ search }: GlassDoors): void {
  if (!search) throw new GlassError('off', 'Search is switched off here.', { status: 404 });
}

/** What can be searched, and the key to which questions are sealed. */
export async function searchStatus(doors: GlassDoors): Promise<object> {
  mustBeOn(doors);
  const { key, searches } = await doors.sealer.call<Status>('search-status', {});
  return { key, searches: searches.map(({ wants: _, ...shown }) => shown) };
}

/** Takes a sealed question and its touch to the sealer, and the sealed answer back: glass sees neither. */
export async function search(doors: GlassDoors, body: unknown): Promise<object> {
  mustBeOn(doors);
  return doors.sealer.call('search', question(body));
}

/** Ends a search at both guards, the sealer first: names are gone from its memory when it answers. */
export async function endSearch(doors: GlassDoors, body: unknown): Promise<object> {
  mustBeOn(doors);
  const asked = end(body);
  await doors.sealer.call('dehydrate', asked);
  await doors.ledger.call('dehydrate', asked);
  return {};
}

/** Brings the sealer the ciphertext that it wants for what is open. Returns how many rows it took. */
export async function fillSearches(doors: GlassDoors): Promise<number> {
  if (!doors.search) return 0;
  const { searches } = await doors.sealer.call<Status>('search-status', {});
  let taken = 0;
  for (const { field, wants = [] } of searches) {
    if (wants.length === 0) continue;
    const rows = await rowsOf(doors, field, wants);
    const answer = await doors.sealer.call<{ taken: number }>(
      ...(['hydrate-rows', { field, subjects: wants, rows }, { timeoutMs: 60_000 }] as const),
    );
    taken += answer.taken;
  }
  return taken;
}

const FILL_EVERY_MS = 500;

/** Keeps the searches filled until it is told to stop. */
export function keepFilled(doors: GlassDoors): { close(): void } {
  let stopped = !doors.search;
  let timer: NodeJS.Timeout | undefined;
  const next = (ms: number) => {
    if (stopped) return;
    timer = setTimeout(() => {
      fillSearches(doors).then(
        (taken) => next(taken > 0 ? 0 : FILL_EVERY_MS),
        (error: unknown) => {
          doors.log.warn('a search could not be filled', { code: (error as { code?: string }).code ?? 'unknown' });
          next(FILL_EVERY_MS * 4);
        },
      );
    }, ms);
    timer.unref();
  };
  next(FILL_EVERY_MS);
  return {
    close: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
