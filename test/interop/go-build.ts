import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const GO = ['/usr/local/go/bin/go', '/usr/lib/go/bin/go', '/usr/bin/go', process.env['GO'] ?? ''];

/**
 * Builds a Go program of `test/interop/go` into a new folder and returns its path. Modules come from the Go module proxy,
 * pinned by go.sum. Throws with Go's own words.
 */
export async function buildGo(name: string): Promise<string> {
  const go = GO.find((path) => existsSync(path));
  if (go === undefined) throw new Error('there is no Go toolchain');
  const program = join(mkdtempSync(join(tmpdir(), 'btz-go-')), name);
  const cache = process.env['GOCACHE'] ?? join(tmpdir(), `btz-go-cache-${process.getuid?.() ?? 0}`);
  await run(go, ['build', '-buildvcs=false', '-o', program, '.'], {
    cwd: join(import.meta.dirname, 'go', name),
    env: { ...process.env, GOCACHE: cache, GOTOOLCHAIN: 'local', GOWORK: 'off', CGO_ENABLED: '0' },
    timeout: 300_000,
  });
  return program;
}
