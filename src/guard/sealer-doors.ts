import {
  parseAssertion,
  parseEnrolKey,
  parseGrant,
  parseInvite,
  parseRotateKey,
  parseSealedRow,
  parseUnlock,
  shape,
} from '#seal';
import { sealerExportDoors } from './export/doors.ts';
import { rosterDoors } from './roster-doors.ts';
import type { Sealer } from './sealer.ts';
import { type DoorTable, doorsFor } from './server.ts';
import { lockRequest, messageBody, nothing, resealRows, twoOrMore } from './shapes.ts';

export const SEALER_CALLERS = ['glass', 'core', 'console', 'courier'] as const;
export type SealerCaller = (typeof SEALER_CALLERS)[number];

const door = doorsFor<SealerCaller>();
const { object, list, optional } = shape;

const revealBody = object({
  grant: parseGrant,
  assertion: parseAssertion,
  rows: list(parseSealedRow, 1_000),
  others: optional(list(parseAssertion, 7)),
});
const enrolmentBody = object({ enrol: parseEnrolKey, assertion: parseAssertion });
const unlockBody = object({ document: parseUnlock, assertions: twoOrMore });
const inviteBody = object({ document: parseInvite, assertions: twoOrMore });

const rotateKeyBody = object({ document: parseRotateKey, assertions: twoOrMore });
const resealBody = object({ rows: resealRows });

/** Every message that the sealer understands: the whole of its attack surface. */
export function sealerDoors(sealer: Sealer): DoorTable<SealerCaller> {
  return {
    reveal: door({
      from: ['glass'],
      parse: revealBody,
      handle: ({ grant, assertion, rows, others }) => sealer.reveal(grant, assertion, rows, others),
    }),
    message: door({
      from: ['courier'],
      parse: messageBody,
      handle: ({ message, assertions, rows }) => sealer.messages.open(message, assertions, rows),
    }),
    'enrol-key': door({
      from: ['glass'],
      parse: enrolmentBody,
      handle: ({ enrol, assertion }) => sealer.enrol(enrol, assertion),
    }),
    unlock: door({
      from: ['glass'],
      parse: unlockBody,
      handle: ({ document, assertions }) => sealer.decide(document, assertions),
    }),
    invite: door({
      from: ['glass'],
      parse: inviteBody,
      handle: ({ document, assertions }) => sealer.decide(document, assertions),
    }),
    ...rosterDoors<SealerCaller>(() => sealer.roster, 'glass'),
    lock: door({
      from: ['core'],
      parse: lockRequest,
      handle: ({ scope, target, reason }) => sealer.lock(scope, target, reason),
    }),
    ...sealerExportDoors(() => sealer.exports),
    stage: door({ from: ['console'], parse: nothing, handle: () => sealer.resealing.stage() }),
    'rotate-key': door({
      from: ['glass'],
      parse: rotateKeyBody,
      handle: ({ document, assertions }) => sealer.resealing.promote(document, assertions),
    }),
    reseal: door({ from: ['core'], parse: resealBody, handle: ({ rows }) => sealer.resealing.reseal(rows) }),
    status: door({ from: ['core', 'console'], parse: nothing, handle: () => sealer.status() }),
  };
}
