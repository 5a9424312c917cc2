import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setAlarms } from '../../src/run/cli-alerts.ts';
import { openHome } from '../../src/run/home.ts';
import type { Place } from './browser-story.ts';
import type { Seated } from './search-story.ts';

/** Where alerts go: shown, tested, and one rule silenced and let speak again. Gives what the receiver was told. */
export async function alarms(
  seat: Seated,
  place: Place,
  edge: string,
  home: string,
): Promise<{ readonly told: readonly string[]; readonly findings: readonly string[] }> {
  const { person, page } = seat;
  const told: string[] = [];
  const receiver = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (part: string) => void told.push(part));
    request.on('end', () => response.end('ok'));
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const findings: string[] = [];
  try {
    await page.goto(`${place.console}/alerts`);
    await page.getByText('Nobody is told').waitFor();
    const file = join(home, 'channels.json');
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/desk`;
    writeFileSync(file, JSON.stringify({ channels: [{ name: 'desk', kind: 'slack', least: 'low', url }] }));
    setAlarms(openHome(home), file);
    await page.getByRole('rowheader', { name: 'desk' }).waitFor();
    await page.getByRole('button', { name: 'Send a test to each' }).click();
    await page.getByText('works', { exact: true }).waitFor();
    assert.match(told.join(), /Test: a test of this channel/);
    // Somebody tries the door of another product: critical, and told within seconds.
    await fetch(new URL('/mifs/admin/rest/api/v2', edge));
    await page
      .getByRole('link', { name: 'The device plane was attacked with exploits of another product', exact: true })
      .click();
    await page.getByRole('button', { name: 'Silence this rule' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Why?').fill('an exercise of this afternoon');
    findings.push(...(await person.inspect(page, 'alert-silence')));
    await dialog.getByRole('button', { name: 'Silence it' }).click();
    await page.getByText('are sent to nobody for a while').waitFor();
    await page.goto(`${place.console}/alerts`);
    await page.getByRole('heading', { name: 'Silenced rules' }).waitFor();
    findings.push(...(await person.inspect(page, 'alert-channels')));
    await page.getByRole('button', { name: 'End it now' }).click();
    await page.getByRole('heading', { name: 'Silenced rules' }).waitFor({ state: 'detached' });
    return { told, findings };
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
}
