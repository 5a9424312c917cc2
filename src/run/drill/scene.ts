import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Caps, RecoveryKey } from '#seal';
import { playApns, type Stage, setStage } from '../stage.ts';
import { type Product, startProduct } from '../supervisor.ts';

/** What every drill is played on: a fresh product of its own with invented people, phones and admins. */
export interface Scene {
  readonly product: Product;
  readonly stage: Stage;
  /** A directory that only root reads, for loot; it goes with the scene. */
  readonly scratch: string;
  tell(line: string): void;
}

export interface SceneOptions {
  readonly portBase: number;
  readonly phones: number;
  readonly people: number;
}

/** Small limits, so that a drill of seconds meets them. */
export const DRILL_CAPS: Partial<Caps> = { perTouch: 5, perDay: 20 };

/** Plays on a fresh product in a temporary directory and leaves nothing behind. Nothing of it touches an installation in use. */
export async function onScene<T>(
  options: SceneOptions & { readonly caps?: Partial<Caps>; readonly recovery?: RecoveryKey },
  tell: (line: string) => void,
  play: (scene: Scene) => Promise<T>,
): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'btz-drill-'));
  chmodSync(root, 0o755);
  try {
    const scratch = mkdtempSync(join(root, 'loot-'));
    const apns = await playApns();
    try {
      const product = await startProduct({
        ...{ push: apns.push, home: join(root, 'h'), portBase: options.portBase, founders: 3 },
        ...{ caps: { ...DRILL_CAPS, ...options.caps }, demo: true, org: 'example-agency' },
        ...(options.recovery === undefined ? {} : { recovery: options.recovery }),
      });
      try {
        const { people, phones } = options;
        const stage = await setStage(product, { people, phones, admins: 3, pollMs: 10_000, push: apns.service });
        try {
          stage.fleet.start();
          return await play({ product, stage, scratch, tell });
        } finally {
          await stage.close();
        }
      } finally {
        await product.stop();
      }
    } finally {
      await apns.service.close();
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
