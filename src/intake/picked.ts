/** What an answer always has (RFC 7643 section 7, `returned: always`). */
const ALWAYS: ReadonlySet<string> = new Set(['schemas', 'id']);
const LIST = 'resources';

const namesIn = (text: string): string[] =>
  text
    .split(',')
    .map((name) => name.trim().toLowerCase().split('.')[0]!)
    .filter((name) => name !== '');

/** An answer with `attributes` or without `excludedAttributes` (RFC 7644 section 3.9), by whole attributes. */
export function picked(body: object, query: URLSearchParams): object {
  const [wanted, unwanted] = [query.get('attributes'), query.get('excludedAttributes')];
  if (wanted === null && unwanted === null) return body;
  const only = wanted === null ? undefined : new Set(namesIn(wanted));
  const never = new Set(namesIn(unwanted ?? ''));
  const pick = (one: object) =>
    Object.fromEntries(
      Object.entries(one).filter(([name]) => {
        const known = name.toLowerCase();
        return ALWAYS.has(known) || (only === undefined ? !never.has(known) : only.has(known));
      }),
    );
  const list = Object.entries(body).find(([name]) => name.toLowerCase() === LIST);
  if (list === undefined) return pick(body);
  return { ...body, [list[0]]: (list[1] as object[]).map(pick) };
}
