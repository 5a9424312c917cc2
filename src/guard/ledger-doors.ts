import {
  ADMIN,
  GuardError,
  parseArrival,
  parseAssertion,
  parseChange,
  parseCommandSet,
  parseDeclare,
  parseEnrolKey,
  parseGrant,
  parseImportPeople,
  parseInvite,
  parseLeave,
  parseLockKey,
  parseRotateKey,
  parseRotateLocks,
  parseSealedRow,
  parseThirdLock,
  parseUnlock,
  shape,
} from '#seal';
import { type Detail, REFUSAL_KINDS } from './entries.ts';
import { ledgerExportDoors } from './export/doors.ts';
import { readHistory } from './history.ts';
import type { Ledger } from './ledger.ts';
import { readCheckpoint, readExposure, readProof, readTail } from './reading.ts';
import { rosterDoors } from './roster-doors.ts';
import { type DoorTable, doorsFor } from './server.ts';
import {
  field,
  handle,
  lockRequest,
  messageBody,
  nothing,
  retireBody,
  rotateBody,
  rotatedBody,
  twoOrMore,
} from './shapes.ts';

export const LEDGER_CALLERS = ['sealer', 'core', 'console', 'glass', 'intake'] as const;
export type LedgerCaller = (typeof LEDGER_CALLERS)[number];

const door = doorsFor<LedgerCaller>();
const { object, list, text, integer, oneOf, optional, base64url } = shape;

const leaf = object({
  n: integer(1),
  uid: text(36, { min: 36 }),
  time: integer(0),
  type_uid: integer(0),
  actor: (value: unknown) => (value === null ? null : text(63)(value)),
  digest: base64url(32),
});

const noteDetail = (value: unknown): Detail => {
  const flat = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  const plain = flat?.every(([key, one]) => /^[a-z]{1,20}$/.test(key) && ['string', 'number'].includes(typeof one));
  if (!plain || JSON.stringify(value).length > 1_000) throw new GuardError('shape', 'A note is a flat object.');
  return value as Detail;
};

const openBody = object({
  grant: parseGrant,
  assertion: parseAssertion,
  rows: list(parseSealedRow, 1_000),
  others: optional(list(parseAssertion, 7)),
});
const decreesBody = object({ after: integer(0) });
const noteBody = object({
  kind: oneOf(...REFUSAL_KINDS),
  admin: (value: unknown) => (value === null ? null : text(63, { pattern: ADMIN })(value)),
  detail: noteDetail,
});
const appendBody = object({ from: integer(1), leaves: list(leaf, 1_000, 1) });
const settleBody = object({ rows: list(parseArrival, 1_000) });
const authoriseBody = object({ document: parseCommandSet, assertions: twoOrMore });
const declareBody = object({ document: parseDeclare, assertions: twoOrMore });
const tailBody = object({ after: integer(0), waitMs: integer(0, 30_000) });
const exposureBody = object({
  from: integer(0),
  to: integer(0),
  principal: optional(text(63, { pattern: ADMIN })),
  after: optional(integer(-1)),
});
const proofBody = object({ leaf: integer(0) });
const checkpointBody = object({ from: integer(0), seen: optional(text(16_384)) });
const enrolmentBody = object({ enrol: parseEnrolKey, assertion: parseAssertion });
const unlockBody = object({ document: parseUnlock, assertions: twoOrMore });
const inviteBody = object({ document: parseInvite, assertions: twoOrMore });
const importBody = object({ document: parseImportPeople, assertion: parseAssertion });
const leaveBody = object({ document: parseLeave, assertions: list(parseAssertion, 8, 1) });
const changeBody = object({ document: parseChange, assertions: list(parseAssertion, 8, 1) });
const rotateLocksBody = object({ document: parseRotateLocks, assertions: twoOrMore });
const withdrawn = object({ subject: handle, field, version: integer(1) });
const relockBody = object({
  generation: integer(1),
  rows: list(parseSealedRow, 1_000),
  withdrawn: list(withdrawn, 1_000),
});
const historyBody = object({ subject: handle, after: optional(integer(-1)) });
const canariesBody = object({ entries: list(object({ handle, tags: list(base64url(32), 4, 1) }), 200, 1) });
const calledBody = object({ how: oneOf('call', 'sms', 'email'), box: base64url(80) });
const decoysBody = object({ handles: list(handle, 1_000) });

const lockKeyBody = object({ document: parseLockKey, assertion: parseAssertion });
const thirdLockBody = object({ document: parseThirdLock, assertion: parseAssertion });
const rotateKeyBody = object({ document: parseRotateKey, assertions: twoOrMore });

/** Every message that the ledger understands: the whole of its attack surface. */
export function ledgerDoors(ledger: Ledger): DoorTable<LedgerCaller> {
  return {
    open: door({
      from: ['sealer'],
      parse: openBody,
      handle: ({ grant, assertion, rows, others }) => ledger.open(grant, assertion, rows, others),
    }),
    message: door({
      from: ['sealer'],
      parse: messageBody,
      handle: ({ message, assertions, rows }) => ledger.messages.open(message, assertions, rows),
    }),
    spent: door({ from: ['sealer'], parse: nothing, handle: () => ledger.spent() }),
    note: door({
      from: ['sealer'],
      parse: noteBody,
      handle: ({ kind, admin, detail }) => ledger.book.note(kind, admin, detail),
    }),
    append: door({
      from: ['core'],
      parse: appendBody,
      handle: ({ from, leaves }) => ledger.append(from, leaves),
    }),
    settle: door({
      from: ['core'],
      parse: settleBody,
      handle: ({ rows }) => ledger.settle(rows),
    }),
    authorise: door({
      from: ['core'],
      parse: authoriseBody,
      handle: ({ document, assertions }) => ledger.decisions.authorise(document, assertions),
    }),
    declare: door({
      from: ['core'],
      parse: declareBody,
      handle: ({ document, assertions }) => ledger.decisions.declare(document, assertions),
    }),
    lock: door({
      from: ['core'],
      parse: lockRequest,
      handle: ({ scope, target, reason, alert }) => ledger.lock(scope, target, reason, alert),
    }),
    tail: door({
      from: ['core'],
      parse: tailBody,
      handle: ({ after, waitMs }) => readTail(ledger.log, after, waitMs),
      waits: ({ waitMs }) => waitMs,
    }),
    roster: door({ from: ['core', 'console', 'glass'], parse: nothing, handle: () => ledger.roster() }),
    exposure: door({
      from: ['core', 'console'],
      parse: exposureBody,
      handle: (span) => readExposure(ledger.log, ledger.gate.state.decoyBook, span),
    }),
    proof: door({
      from: ['core', 'console'],
      parse: proofBody,
      handle: ({ leaf }) => readProof(ledger.log, leaf),
    }),
    checkpoint: door({
      from: ['core'],
      parse: checkpointBody,
      handle: ({ from, seen }) => readCheckpoint(ledger.log, from, seen),
    }),
    status: door({ from: ['core', 'console', 'glass'], parse: nothing, handle: () => ledger.status() }),
    'enrol-key': door({
      from: ['glass'],
      parse: enrolmentBody,
      handle: ({ enrol, assertion }) => ledger.decisions.enrol(enrol, assertion),
    }),
    unlock: door({
      from: ['glass'],
      parse: unlockBody,
      handle: ({ document, assertions }) => ledger.decisions.decide(document, assertions),
    }),
    invite: door({
      from: ['glass'],
      parse: inviteBody,
      handle: ({ document, assertions }) => ledger.decisions.decide(document, assertions),
    }),
    import: door({
      from: ['glass'],
      parse: importBody,
      handle: ({ document, assertion }) => ledger.imports.permit(document, assertion),
    }),
    ...rosterDoors<LedgerCaller>(() => ledger.decisions.roster, 'glass'),
    decrees: door({
      from: ['sealer'],
      parse: decreesBody,
      handle: ({ after }) => ledger.decisions.roster.decrees(after),
    }),
    'rotate-key': door({
      from: ['glass'],
      parse: rotateKeyBody,
      handle: ({ document, assertions }) => ledger.rekeying.promote(document, assertions),
    }),
    third: door({ from: ['sealer', 'glass', 'console'], parse: nothing, handle: () => ledger.third.state() }),
    'lock-key': door({
      from: ['glass'],
      parse: lockKeyBody,
      handle: ({ document, assertion }) => ledger.third.pin(document, assertion),
    }),
    'third-lock': door({
      from: ['glass'],
      parse: thirdLockBody,
      handle: ({ document, assertion }) => ledger.third.share(document, assertion),
    }),
    rotate: door({
      from: ['sealer'],
      parse: rotateBody,
      handle: ({ number, rows }) => ledger.rekeying.open(number, rows),
    }),
    rotated: door({
      from: ['sealer'],
      parse: rotatedBody,
      handle: ({ number, values, found }) => ledger.rekeying.close(number, values, found),
    }),
    retire: door({ from: ['sealer'], parse: retireBody, handle: ({ number }) => ledger.rekeying.retire(number) }),
    leave: door({
      from: ['glass'],
      parse: leaveBody,
      handle: ({ document, assertions }) => ledger.leaving.leave(document, assertions),
    }),
    change: door({
      from: ['glass'],
      parse: changeBody,
      handle: ({ document, assertions }) => ledger.changes.decide(document, assertions),
    }),
    'rotate-locks': door({
      from: ['glass'],
      parse: rotateLocksBody,
      handle: ({ document, assertions }) => ledger.relocking.start(document, assertions),
    }),
    relock: door({
      from: ['core'],
      parse: relockBody,
      handle: ({ generation, rows, withdrawn: gone }) => ledger.relocking.carry(generation, rows, gone),
    }),
    history: door({
      from: ['console', 'glass'],
      parse: historyBody,
      handle: ({ subject, after }, caller) =>
        readHistory(ledger, subject, { after: after ?? -1, whole: caller !== 'glass' }),
    }),
    ...ledgerExportDoors(() => ledger.exports),
    canaries: door({
      from: ['intake'],
      parse: canariesBody,
      handle: ({ entries }) => ledger.decoys.canaries(entries),
    }),
    called: door({
      from: ['core'],
      parse: calledBody,
      handle: ({ how, box }) => ledger.decoys.called(how, box),
    }),
    decoys: door({
      from: ['intake'],
      parse: decoysBody,
      handle: ({ handles }) => ledger.decoys.join(handles),
    }),
  };
}
