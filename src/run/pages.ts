import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RunError } from './config.ts';
import { CHECKOUT } from './home.ts';

/** Builds the pages of console and glass if they are missing or older than their sources. About three seconds. */
export async function buildPages(): Promise<void> {
  const vite = join(CHECKOUT, 'node_modules', 'vite', 'bin', 'vite.js');
  const built = join(CHECKOUT, 'web', 'dist', 'console', 'index.html');
  const newest = newestIn(join(CHECKOUT, 'web'));
  if (existsSync(built) && statSync(built).mtimeMs >= newest) return;
  if (!existsSync(vite)) {
    if (existsSync(built)) return;
    throw new RunError('start-failed', "The pages are not built. Run 'npm ci' in this folder first.");
  }
  try {
    await promisify(execFile)(process.execPath, [vite, 'build', 'web'], { cwd: CHECKOUT });
  } catch (cause) {
    throw new RunError('start-failed', "The pages could not be built. Run 'npm ci' and try again.", { cause });
  }
}

function newestIn(dir: string): number {
  let newest = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.name === 'dist' || entry.name === 'node_modules') continue;
    const path = join(dir, entry.name);
    newest = Math.max(newest, entry.isDirectory() ? newestIn(path) : statSync(path).mtimeMs);
  }
  return newest;
}
