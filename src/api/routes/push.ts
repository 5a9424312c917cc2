import { pushCertificateState, pushCounts, pushObstacle, waitingCommands } from '#fleet';
import type { ApiDoors } from '../doors.ts';
import { route } from '../route.ts';

const DAY_MS = 86_400_000;
/** From here on every page speaks of it. */
const SPEAK_AT_DAYS = 30;

/** What the banner of every page says of pushing; null while all is well. */
export async function pushWarning(doors: ApiDoors): Promise<{ text: string; urgent: boolean } | null> {
  const certificate = await pushCertificateState(doors.pool);
  const obstacle = pushObstacle(certificate);
  if (obstacle !== null) return { text: `No phone is woken: ${obstacle}.`, urgent: certificate !== null };
  const days = daysLeft(certificate?.notAfter ?? null, doors.now());
  if (days === null || days > SPEAK_AT_DAYS) return null;
  const text = `The push certificate runs out in ${days} ${days === 1 ? 'day' : 'days'}: renew it at Apple with the same Apple ID.`;
  return { text, urgent: days <= 14 };
}

const daysLeft = (notAfter: Date | null, now: number): number | null =>
  notAfter === null ? null : Math.floor((notAfter.getTime() - now) / DAY_MS);

export const pushRoutes = [
  route({
    method: 'GET',
    path: '/push',
    summary: 'How phones are woken: certificate, last canary, and what waits with its reason.',
    for: 'all',
    handle: async ({ doors }) => {
      const [certificate, pushes, waiting] = await Promise.all([
        pushCertificateState(doors.pool),
        pushCounts(doors.pool),
        waitingCommands(doors.pool, 200),
      ]);
      return {
        certificate:
          certificate === null ? null : { ...certificate, daysLeft: daysLeft(certificate.notAfter, doors.now()) },
        obstacle: pushObstacle(certificate),
        pushes,
        waiting,
      };
    },
  }),
];
