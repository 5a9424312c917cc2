import { after } from 'node:test';

/**
 * Ends the process of a test file some time after its last test, if something still keeps it alive: a test that failed with a
 * server open would otherwise hold up everything until the runner's own limit. What is open is named, and the file fails.
 */
export function endWhatLingers(graceMs: number): void {
  after(() => {
    // The file's own hooks run after this one, within the same time.
    setTimeout(() => {
      const open = process.getActiveResourcesInfo().filter((name) => name !== 'Timeout' && name !== 'PipeWrap');
      const named = [...new Set(open)].map((name) => `${open.filter((one) => one === name).length} ${name}`);
      process.stderr.write(`This file's tests are over, but something is open still: ${named.join(', ')}.\n`);
      process.exit(1);
    }, graceMs).unref();
  });
}
