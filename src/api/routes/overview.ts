import { countDevices } from '#fleet';
import { listIncidents } from '#incident';
import { countPeople } from '#people';
import { listApprovals, listLocks } from '#respond';
import { countOpenAlerts } from '#watch';
import type { ApiDoors } from '../doors.ts';
import { route } from '../route.ts';
import { type SealerKeys, sealerKeys } from './keys.ts';
import { pushWarning } from './push.ts';
import { rosterNow } from './roster.ts';

interface LedgerStatus {
  readonly size: number;
  readonly root: string;
  readonly checkpointAt: number;
  readonly coreSize: number;
}

export const overviewRoutes = [
  route({
    method: 'GET',
    path: '/overview',
    summary: 'The state of everything at a glance.',
    for: 'all',
    handle: async ({ doors }) => {
      const [devices, people, alerts, approvals, incidents, locks, log, guards, push, roster] = await Promise.all([
        countDevices(doors.pool),
        countPeople(doors.pool),
        countOpenAlerts(doors.pool),
        listApprovals(doors.pool),
        listIncidents(doors.pool),
        listLocks(doors.pool),
        logState(doors),
        guardsAnswer(doors),
        pushWarning(doors),
        rosterNow(doors).then(
          ({ findings: found }) => found,
          () => [],
        ),
      ]);
      return {
        ...{ devices, people: Math.max(0, people - guards.decoys), alerts, log, push },
        approvals: { open: approvals.filter((approval) => approval.state === 'open').length },
        incidents: { open: incidents.filter((incident) => incident.status === 'open').length },
        locks: locks.filter((lock) => lock.liftedAt === null),
        posture: { level: doors.level, key: keyOf(guards.keys), findings: [...findings(doors, guards), ...roster] },
      };
    },
  }),
];

async function logState(doors: ApiDoors) {
  const { rows } = await doors.pool.query<{ waiting: number }>(
    'select count(*)::int as waiting from log.event where leaf is null',
  );
  const waiting = rows[0]!.waiting;
  try {
    const { size, root, checkpointAt } = await doors.ledger.call<LedgerStatus>('status', {}, { timeoutMs: 1_500 });
    return { size, root, checkpointAt: checkpointAt > 0 ? new Date(checkpointAt) : null, waiting };
  } catch {
    return { size: null, root: null, checkpointAt: null, waiting };
  }
}

interface Guards {
  readonly sealer: boolean;
  readonly ledger: boolean;
  readonly keys: SealerKeys | null;
  /** Whether the ledger's disk is nearly full, and what is left of it. */
  readonly room: { readonly freeMb: number; readonly low: boolean } | undefined;
  /** How many of the people do not exist, as the ledger says. */
  readonly decoys: number;
}

/** Which of the guards answer. */
async function guardsAnswer(doors: ApiDoors): Promise<Guards> {
  const [keys, ledger] = await Promise.all([
    sealerKeys(doors),
    doors.ledger
      .call<{ room?: Guards['room']; decoys: number }>('status', {}, { timeoutMs: 1_500 })
      .catch(() => undefined),
  ]);
  return { sealer: keys !== null, ledger: ledger !== undefined, keys, room: ledger?.room, decoys: ledger?.decoys ?? 0 };
}

/** The organisation's key in a line; null if the sealer does not answer. */
const keyOf = (keys: SealerKeys | null) =>
  keys === null
    ? null
    : { state: keys.state, number: keys.current.number, grade: keys.current.grade, source: keys.current.source };

function findings(doors: ApiDoors, guards: Guards) {
  const found: { title: string; fix: string }[] = [];
  if (doors.level === 'L0') {
    found.push({
      title: 'All processes share one user: whoever breaks one has all of them.',
      fix: 'Start Bartizan as root: it gives every process a user of its own, and only the supervisor stays root.',
    });
  }
  const left =
    doors.ledgerCertificate === undefined ? undefined : (doors.ledgerCertificate() - doors.now()) / 86_400_000;
  if (left !== undefined && left < 30) {
    found.push({
      title: `The certificates for the ledger's host end in ${Math.max(0, Math.floor(left))} days; nothing is read after that.`,
      fix: 'Run "bartizan hosts renew" where the authority is kept, and install the bundles on both hosts.',
    });
  }
  if (left !== undefined && doors.level === 'L1') {
    found.push({
      title: 'The ledger is called over the network, but at an address of this very machine.',
      fix: 'Run it on a host of its own; until then this is one host, and root here owns both guards.',
    });
  }
  if (guards.room?.low) {
    found.push({
      title: `The disk of the ledger's log has ${guards.room.freeMb} MiB left: once it is full nothing is read.`,
      fix: 'Free space on it or give it a larger one. Its log is never cut.',
    });
  }
  if (!guards.ledger) {
    found.push({
      title: 'The ledger does not answer: nobody can read names or numbers.',
      fix: 'Its log file says why. Phones are managed meanwhile.',
    });
  }
  if (!guards.sealer) {
    found.push({
      title: 'The sealer does not answer: nobody can read names or numbers.',
      fix: 'Its log file says why. Phones are managed meanwhile.',
    });
  }
  if (guards.keys?.state === 'locked-at-boot') {
    found.push({
      title: 'The sealer waits for the organisation’s key: nobody can read names or numbers.',
      fix: 'Bring the shares with bartizan unseal, or see that the token or key service answers. Phones are managed meanwhile.',
    });
  }
  if (doors.demo) {
    found.push({
      title: 'This is the demonstration: invented people, simulated phones, software passkeys.',
      fix: 'Start a real installation with its own home directory.',
    });
  }
  return found;
}
