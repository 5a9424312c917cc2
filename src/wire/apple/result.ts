import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type Plist, type PlistDict, textAt } from '../plist/value.ts';
import { type Facts, factsOf, type InventoryKind, placeOf } from './answers.ts';
import { type Personal, takePersonal } from './personal.ts';
import { type Speaker, speakerOf } from './speaker.ts';

/** Exactly: one answer that the database cannot cast would fail the statement that it shares with others. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const STATUSES = ['Idle', 'Acknowledged', 'Error', 'CommandFormatError', 'NotNow'] as const;
export type Status = (typeof STATUSES)[number];

/** What a device says when it polls: nothing new (Idle), or the answer to one command. */
export interface CommandResult extends Speaker {
  readonly status: Status;
  /** Absent for Idle. */
  readonly commandUuid: string | undefined;
  /** Codes and domains only: the texts are localised and can quote the device's name. */
  readonly errors: readonly { readonly code: number; readonly domain: string }[];
  readonly inventory: { readonly kind: InventoryKind; readonly facts: Facts } | undefined;
  readonly findings: readonly string[];
  readonly personal: Personal;
}

/** Most bytes of an answer: a list of 2000 apps is the longest. */
export const RESULT_BYTES = 4 * 1024 * 1024;

/** Parses a result or Idle. Throws WireError `plist`, `check-in` or `command`. */
export function parseCommandResult(bytes: Uint8Array): CommandResult {
  const dict = parsePlist(bytes, { maxBytes: RESULT_BYTES, maxElements: 150_000 });
  if (!isDict(dict)) throw new WireError('command', 'The message is not a dictionary.');
  const status = STATUSES.find((one) => one === textAt(dict, 'Status'));
  if (status === undefined) throw new WireError('command', 'The message has no status that we know.');
  const commandUuid = textAt(dict, 'CommandUUID');
  if (status !== 'Idle' && (commandUuid === undefined || !UUID.test(commandUuid))) {
    throw new WireError('command', 'The answer does not say to which command it belongs.');
  }
  const findings: string[] = [];
  const speaker = speakerOf(dict, findings);
  const nested = dict.get('QueryResponses');
  const { personal: taken, cut } = takePersonal(isDict(nested) ? nested : dict);
  const place = status === 'Acknowledged' ? placeOf(dict) : undefined;
  const personal = place === undefined ? taken : new Map([...taken, ['location' as const, place]]);
  if (cut) findings.push('value-too-long');
  return {
    ...speaker,
    status,
    commandUuid: status === 'Idle' ? undefined : commandUuid!.toLowerCase(),
    errors: errorsOf(dict),
    inventory: status === 'Acknowledged' ? factsOf(dict) : undefined,
    findings,
    personal,
  };
}

function errorsOf(dict: PlistDict): { code: number; domain: string }[] {
  const chain = dict.get('ErrorChain');
  if (!Array.isArray(chain)) return [];
  return chain.slice(0, 8).flatMap((entry: Plist) => {
    if (!isDict(entry)) return [];
    const code = entry.get('ErrorCode');
    const domain = textAt(entry, 'ErrorDomain') ?? '';
    return [
      { code: typeof code === 'number' ? code : 0, domain: /^[A-Za-z0-9.]{1,64}$/.test(domain) ? domain : 'unknown' },
    ];
  });
}
