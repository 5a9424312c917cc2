import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WitnessError } from './error.ts';

/**
 * One process a folder: two would each remember less than was signed. Returns what gives the folder back. The mark of a
 * process that was killed is taken over. Throws WitnessError `usage`.
 */
export function lockWitness(dir: string): () => void {
  const file = join(dir, 'running');
  const mark = () => writeFileSync(file, String(process.pid), { flag: 'wx' });
  try {
    mark();
  } catch {
    const pid = Number(readFileSync(file, 'utf8'));
    if (pid !== process.pid && isWitness(pid))
      throw new WitnessError('usage', `This witness runs already (process ${pid}). Two would sign two pasts.`);
    rmSync(file);
    mark();
  }
  return () => rmSync(file, { force: true });
}

/** Whether a process lives and is one of ours: numbers are used again. */
function isWitness(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('witness');
  } catch {
    return false;
  }
}
