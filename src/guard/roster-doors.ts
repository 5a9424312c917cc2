import {
  type Assertion,
  type BreakGlass,
  type CancelRaise,
  type LockNow,
  parseAssertion,
  parseBreakGlass,
  parseCancelRaise,
  parseLockNow,
  parseRefound,
  parseRosterChange,
  type Refound,
  type RosterChange,
  shape,
} from '#seal';
import { type DoorTable, doorsFor } from './server.ts';
import { twoOrMore } from './shapes.ts';

const { object, list, base64url } = shape;

/** What each guard does with documents over the roster. */
export interface RosterRoom {
  change(document: RosterChange, assertions: readonly Assertion[]): Promise<object>;
  lock(document: LockNow, assertion: Assertion): Promise<object>;
  cancelRaise(document: CancelRaise, assertion: Assertion): Promise<object>;
  breakGlass(document: BreakGlass, assertions: readonly Assertion[]): Promise<object>;
  refound(document: Refound, signature: string): Promise<object>;
}

const change = object({ document: parseRosterChange, assertions: twoOrMore });
const lock = object({ document: parseLockNow, assertion: parseAssertion });
const cancel = object({ document: parseCancelRaise, assertion: parseAssertion });
const breakGlass = object({ document: parseBreakGlass, assertions: list(parseAssertion, 8, 3) });
const refound = object({ document: parseRefound, signature: base64url(64) });

/** The messages over the roster, the same at both guards; all come by glass, and carry their own signatures. */
export function rosterDoors<Caller extends string>(room: () => RosterRoom, glass: Caller): DoorTable<Caller> {
  const door = doorsFor<Caller>();
  return {
    'roster-change': door({
      from: [glass],
      parse: change,
      handle: ({ document, assertions }) => room().change(document, assertions),
    }),
    'lock-now': door({
      from: [glass],
      parse: lock,
      handle: ({ document, assertion }) => room().lock(document, assertion),
    }),
    'cancel-raise': door({
      from: [glass],
      parse: cancel,
      handle: ({ document, assertion }) => room().cancelRaise(document, assertion),
    }),
    'break-glass': door({
      from: [glass],
      parse: breakGlass,
      handle: ({ document, assertions }) => room().breakGlass(document, assertions),
    }),
    refound: door({
      from: [glass],
      parse: refound,
      handle: ({ document, signature }) => room().refound(document, signature),
    }),
  };
}
