import { drillD07 } from './d07.ts';
import { drillD08 } from './d08.ts';
import { drillD09 } from './d09.ts';
import { drillD10 } from './d10.ts';
import { drillD11 } from './d11.ts';
import { drillD12 } from './d12.ts';
import { d13 } from './d13.ts';
import { drillD26 } from './d26.ts';
import { drillD27 } from './d27.ts';
import { drillD30 } from './d30.ts';
import { january } from './january.ts';
import { type DrillReport, type DrillResult, resultOf } from './report.ts';
import { onScene, type Scene, type SceneOptions } from './scene.ts';

export interface Drill {
  readonly id: string;
  readonly what: string;
  run(options: SceneOptions, tell: (line: string) => void): Promise<DrillResult>;
}

const drill = (id: string, what: string, play: (scene: Scene) => Promise<DrillReport>): Drill => ({
  ...{ id, what },
  run: (options, tell) => onScene(options, tell, async (scene) => resultOf(id, await play(scene))),
});

/** Every drill, on a fresh product of its own; the ids are those of the threat catalogue. */
export const DRILLS: readonly Drill[] = [
  {
    id: 'january',
    what: 'attacker inside edge, stolen admin, stolen database and files (30 January 2026)',
    run: january,
  },
  drill('D07', 'stolen database login: dumps, copies, replication', drillD07),
  drill('D08', 'stolen admin session with its passkey asks for the whole directory', drillD08),
  drill('D09', 'the app server itself asks the guards to open everything', drillD09),
  drill('D10', 'canary persons are read, listed and rung', drillD10),
  drill('D11', 'hunt for secrets from inside edge, console and glass', drillD11),
  drill('D26', 'console takeover: stuffing, stolen cookie, replay, forged requests, fixed sessions', drillD26),
  drill('D30', 'break-glass, used improperly and properly', drillD30),
  drill('D27', 'theft of keys with the user of each process', drillD27),
  { id: 'D13', what: 'all three backups and two cards are stolen; then a restore with three', run: d13 },
  drill('D12', '100 people are erased and looked for everywhere, with all keys in hand', drillD12),
];
