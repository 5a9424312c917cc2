import { createInterface } from 'node:readline/promises';
import { NEEDED } from '#backup';

/** Three cards, a line each, from the terminal or from standard input. */
export async function readCards(): Promise<string[]> {
  const terminal = process.stdin.isTTY === true;
  const lines = createInterface({ input: process.stdin, ...(terminal ? { output: process.stderr } : {}) });
  const cards: string[] = [];
  if (terminal)
    while (cards.length < NEEDED) cards.push(await lines.question(`Card ${cards.length + 1} of ${NEEDED}: `));
  else for await (const line of lines) if (line.trim() !== '') cards.push(line);
  lines.close();
  return cards;
}
