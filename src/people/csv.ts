/** One record: the physical line it begins on, counted from 1, and its cells. */
export interface CsvRecord {
  readonly line: number;
  readonly cells: readonly string[];
}

/** What a line was refused for. Never its value. */
export interface RefusedLine {
  readonly line: number;
  readonly code: string;
}

/**
 * Parses CSV strictly after RFC 4180: comma, double quotes, CRLF (a lone LF is taken too). A quote inside a bare cell, text
 * after a closing quote, an open quote at the end or a lone CR is refused, and parsing ends there: nobody can say what the
 * rest means. Yields at most `limit` records; code `too-many-rows` after that.
 */
export function parseCsv(text: string, limit: number): { records: CsvRecord[]; refused?: RefusedLine } {
  const records: CsvRecord[] = [];
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    if (records.length >= limit) return { records, refused: { line, code: 'too-many-rows' } };
    const start = line;
    const cells: string[] = [];
    for (;;) {
      const cell = readCell(text, at);
      if (typeof cell === 'string') return { records, refused: { line: start, code: cell } };
      cells.push(cell.value);
      at = cell.end;
      line += cell.breaks;
      if (text[at] !== ',') break;
      at += 1;
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') {
      at += 1;
      line += 1;
    } else if (at < text.length) return { records, refused: { line: start, code: 'line-end' } };
    records.push({ line: start, cells });
  }
  return { records };
}

type Cell = { readonly value: string; readonly end: number; readonly breaks: number };

function readCell(text: string, at: number): Cell | 'quote' {
  if (text[at] !== '"') {
    let end = at;
    while (end < text.length && text[end] !== ',' && text[end] !== '\n' && text[end] !== '\r') {
      if (text[end] === '"') return 'quote';
      end += 1;
    }
    return { value: text.slice(at, end), end, breaks: 0 };
  }
  let value = '';
  for (let from = at + 1; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return 'quote';
    value += text.slice(from, quote);
    if (text[quote + 1] !== '"') {
      const after = text[quote + 1];
      if (after !== undefined && after !== ',' && after !== '\r' && after !== '\n') return 'quote';
      return { value, end: quote + 1, breaks: value.split('\n').length - 1 };
    }
    value += '"';
    from = quote + 2;
  }
}
