import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { playApns, setStage } from '../stage.ts';
import { type Attacked, attack, manageFleet, promises, resultOf, sealedPeople } from '../story.ts';
import { startProduct } from '../supervisor.ts';

/** What `bartizan drill run january --json` prints as its last line. */
export interface DrillResult {
  readonly id: string;
  readonly prevented: boolean;
  readonly detected_ms: number | null;
  readonly contained_ms: number | null;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly passed: boolean;
}

const CAPS = { perTouch: 5, perDay: 20 };

/**
 * The drill of 30 January on a fresh product of its own: attacker inside edge, stolen admin, stolen files; judged by an
 * outside process. Nothing of it touches an installation that is in use. `tell` receives one line per finding.
 */
export async function january(
  options: { portBase: number; phones: number; people: number },
  tell: (line: string) => void,
): Promise<DrillResult> {
  const root = mkdtempSync(join(tmpdir(), 'btz-drill-'));
  chmodSync(root, 0o755);
  try {
    const apns = await playApns();
    const product = await startProduct({
      push: apns.push,
      home: join(root, 'h'),
      portBase: options.portBase,
      founders: 3,
      caps: CAPS,
      demo: true,
      org: 'example-agency',
    });
    try {
      const stage = await setStage(product, {
        people: options.people,
        phones: options.phones,
        admins: 3,
        pollMs: 10_000,
        push: apns.service,
      });
      try {
        stage.fleet.start();
        const acknowledged = await manageFleet(stage);
        const sealed = await sealedPeople(stage);
        const outcome = await attack(product, stage, tell);
        return judge(outcome, stage, { acknowledged, sealed, level: product.level }, tell);
      } finally {
        await stage.close();
      }
    } finally {
      await product.stop();
      await apns.service.close();
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function judge(
  outcome: Attacked,
  stage: Parameters<typeof promises>[2],
  seen: { acknowledged: number; sealed: number; level: string },
  tell: (line: string) => void,
): DrillResult {
  const kept = promises(resultOf(stage, seen, outcome, CAPS.perDay), outcome, stage);
  for (const one of kept) tell(`${one.kept ? 'kept  ' : 'BROKEN'} ${one.promise}`);
  tell('For comparison, as reported: 9 hours to contain, 6 days to the right count of people.');
  return {
    id: 'january',
    prevented: outcome.edge.stepsThatReadSomething === 0 && outcome.filesFound === 0 && outcome.wipesExecuted === 0,
    detected_ms: outcome.alertMs,
    contained_ms: outcome.containedMs,
    evidence: { ...outcome, level: seen.level, broken: kept.filter((one) => !one.kept).map((one) => one.promise) },
    passed: kept.every((one) => one.kept),
  };
}
