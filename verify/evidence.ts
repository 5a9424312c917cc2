import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Finding } from './finding.ts';
import type { Kept, Problem } from './log.ts';
import { readStamp } from './stamp.ts';

/** What lies beside a log: a folder per checkpoint that was kept, with `checkpoint`, perhaps `cosigned`, and time stamps. */
export interface Evidence {
  readonly kept: readonly Kept[];
  readonly stamps: readonly { readonly file: string; readonly time: string }[];
  readonly problems: readonly Problem[];
}

const MOST_BYTES = 1_000_000;

/** Reads such a folder and checks the time stamps' imprints. Throws Finding `unread`. */
export async function readEvidence(folder: string): Promise<Evidence> {
  const kept: Kept[] = [];
  const stamps: { file: string; time: string }[] = [];
  const problems: Problem[] = [];
  const places = (
    await readdir(folder, { withFileTypes: true }).catch(() => {
      throw new Finding('unread', 'The folder of kept checkpoints cannot be read.');
    })
  ).filter((one) => one.isDirectory() && /^[0-9]{1,16}$/.test(one.name));
  for (const { name } of places.sort((a, b) => Number(a.name) - Number(b.name))) {
    const files = (await readdir(join(folder, name))).sort();
    const read = async (file: string) => {
      const bytes = await readFile(join(folder, name, file));
      if (bytes.length > MOST_BYTES) throw new Finding('unread', `${name}/${file} is too long.`);
      return bytes;
    };
    const checkpoint = files.includes('checkpoint') ? await read('checkpoint') : undefined;
    if (checkpoint === undefined) problems.push({ path: name, problem: 'The kept checkpoint is missing.' });
    else kept.push({ name: `${name}/checkpoint`, bytes: checkpoint });
    if (files.includes('cosigned')) kept.push({ name: `${name}/cosigned`, bytes: await read('cosigned') });
    for (const file of files.filter((one) => one.endsWith('.tsr'))) {
      try {
        if (checkpoint !== undefined)
          stamps.push({ file: `${name}/${file}`, time: readStamp(await read(file), checkpoint).time });
      } catch (error) {
        if (!(error instanceof Finding)) throw error;
        problems.push({ path: `${name}/${file}`, problem: error.message });
      }
    }
  }
  return { kept, stamps, problems };
}
