import { type Attacked, attack, manageFleet, promises, resultOf, sealedPeople } from '../story.ts';
import type { DrillResult } from './report.ts';
import { DRILL_CAPS, onScene, type Scene, type SceneOptions } from './scene.ts';

/**
 * The drill of 30 January on a fresh product of its own: attacker inside edge, stolen admin, stolen files; judged by an
 * outside process. `tell` receives one line per finding.
 */
export function january(options: SceneOptions, tell: (line: string) => void): Promise<DrillResult> {
  return onScene(options, tell, async ({ product, stage }) => {
    const acknowledged = await manageFleet(stage);
    const sealed = await sealedPeople(stage);
    const outcome = await attack(product, stage, tell);
    return judge(outcome, stage, { acknowledged, sealed, level: product.level }, tell);
  });
}

function judge(
  outcome: Attacked,
  stage: Scene['stage'],
  seen: { acknowledged: number; sealed: number; level: string },
  tell: (line: string) => void,
): DrillResult {
  const kept = promises(resultOf(stage, seen, outcome, DRILL_CAPS.perDay!), outcome, stage);
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
