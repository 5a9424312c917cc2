import { HANDLE } from '#base';
import type { Queryable } from '#store';
import { FleetError } from '../error.ts';

const MOST_LINES = 20_000;

export interface NamedHolder {
  readonly serial: string;
  readonly holder: string;
}
export interface RefusedHolder {
  /** Counted from 1, the header included. */
  readonly line: number;
  readonly why: string;
}

/**
 * Reads a list of serial numbers and persons' handles, `serial,handle` a line; a header line is skipped. A line that cannot
 * be used is named and left out. Throws FleetError for a list that is none.
 */
export function readHolderList(csv: string): { named: NamedHolder[]; refused: RefusedHolder[] } {
  const lines = csv.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (lines.length > MOST_LINES)
    throw new FleetError('bad-request', `A list has at most ${MOST_LINES} lines. Nothing was changed.`);
  const named = new Map<string, NamedHolder>();
  const refused: RefusedHolder[] = [];
  for (const [index, text] of lines.entries()) {
    if (text.trim() === '') continue;
    const cells = text.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
    if (index === 0 && cells[0]?.toLowerCase() === 'serial') continue;
    const [serial = '', holder = ''] = [cells[0]?.toUpperCase(), cells[1]?.toLowerCase()];
    const refuse = (why: string) => void refused.push({ line: index + 1, why });
    if (cells.length !== 2) refuse('it has not two columns: serial and handle');
    else if (!/^[A-Z0-9-]{1,64}$/.test(serial)) refuse('the first column is not a serial number');
    else if (!HANDLE.test(holder)) refuse('the second column is not a person’s handle such as amber-otter-4821');
    else if (named.has(serial) && named.get(serial)?.holder !== holder) refuse('the serial number stands here twice');
    else named.set(serial, { serial, holder });
  }
  if (named.size === 0 && refused.length === 0) throw new FleetError('bad-request', 'The list is empty.');
  return { named: [...named.values()], refused };
}

/** What became of a list: holders given, the same as before, waiting for Apple to name their serial number, not possible. */
export interface HoldersGiven {
  readonly given: number;
  readonly same: number;
  readonly waits: number;
  /** Serial numbers of devices that are their holders' own. */
  readonly own: readonly string[];
}

/** Gives devices by serial number their holders: at once, or when Apple names them. */
export async function expectHolders(
  t: Queryable,
  input: { readonly named: readonly NamedHolder[]; readonly by: string },
): Promise<HoldersGiven> {
  const { rows } = await t.query<{ serial: string; verdict: string }>(
    'select serial, verdict from fleet.expect_holders($1, $2, $3)',
    [input.named.map(({ serial }) => serial), input.named.map(({ holder }) => holder), input.by],
  );
  const count = (verdict: string) => rows.filter((row) => row.verdict === verdict).length;
  const own = rows.filter(({ verdict }) => verdict === 'own').map(({ serial }) => serial);
  return { given: count('given'), same: count('same'), waits: count('waits'), own };
}

/** Gives one device its holder, or none. Throws FleetError. */
export async function giveHolder(
  t: Queryable,
  input: { readonly device: string; readonly holder: string | null; readonly by: string },
): Promise<void> {
  const { rows } = await t.query<{ verdict: string }>('select fleet.give_holder($1, $2, $3) as verdict', [
    ...[input.device, input.holder, input.by],
  ]);
  const verdict = rows[0]!.verdict;
  if (verdict === 'unknown')
    throw new FleetError('unknown-device', 'There is no device with this handle, or it is retired.', { status: 404 });
  if (verdict === 'own')
    throw new FleetError('personal-device', 'This device is its holder’s own; another holder enrols it anew.', {
      status: 409,
    });
}
