import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from './browser-story.ts';
import type { Seated } from './search-story.ts';

/** One asks for a file of everybody, both sign, one saves it; `age` opens it with the recipient's key. Gives handles and text. */
export async function exportAll(
  one: Seated,
  other: Seated,
  place: Place,
): Promise<{ readonly handles: readonly string[]; readonly text: string; readonly findings: readonly string[] }> {
  const findings: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'btz-export-'));
  try {
    const key = join(folder, 'key');
    execFileSync('age-keygen', ['-o', key], { stdio: 'pipe' });
    const recipient = execFileSync('age-keygen', ['-y', key], { encoding: 'utf8' }).trim();
    await one.page.goto(`${place.console}/people`);
    await one.page.getByRole('button', { name: 'Export everybody' }).click();
    const dialog = one.page.getByRole('dialog');
    await dialog.getByLabel('Recipients').fill('age1nonsense');
    await dialog.getByLabel('Why?').fill('a move to another directory');
    await dialog.getByRole('button', { name: 'Ask two people' }).click();
    await dialog.getByText('A recipient is an age key').waitFor();
    await dialog.getByLabel('Recipients').fill(recipient);
    findings.push(...(await one.person.inspect(one.page, 'export-ask')));
    await dialog.getByRole('button', { name: 'Ask two people' }).click();
    const link = (await dialog.getByRole('link', { name: 'Review and sign' }).getAttribute('href'))!;
    await dialog.getByRole('button', { name: 'Close' }).click();
    for (const { person } of [one, other]) {
      const glass = await person.open(link);
      await glass.getByText(recipient).waitFor();
      if (person === one.person) findings.push(...(await person.inspect(glass, 'export-approve')));
      await glass.getByRole('button', { name: 'Touch and sign' }).click();
      await glass.getByText(/^Signed\./).waitFor();
      await person.unplug(glass);
    }
    const glass = await one.person.open(link.replace('#approve=', '#export='));
    await glass.getByText('The file is ready').waitFor();
    findings.push(...(await one.person.inspect(glass, 'export-ready')));
    const saved = glass.waitForEvent('download');
    await glass.getByRole('button', { name: 'Save the file' }).click();
    const text = execFileSync('age', ['-d', '-i', key, await (await saved).path()], { encoding: 'utf8' });
    await one.person.unplug(glass);
    const lines = text.trim().split('\r\n');
    assert.equal(lines[0], 'handle,name,mobile,email');
    return { handles: lines.slice(1).map((line) => line.split(',')[0]!), text, findings };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
