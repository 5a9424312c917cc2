import { DEFAULT_NUMBERS, type Judged, judgeLines, type NumberPolicy } from '../../../../src/people/judge.ts';

export const MOST_BYTES = 16 * 1024 * 1024;

/** Lets the browser paint and hear its user; not a timer, which a tab in the background would slow down. */
const breathe = () =>
  new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

/** Reads and judges a file by the rules of intake, in steps. Throws with words if it is no text. */
export async function judge(
  file: Blob,
  policy: NumberPolicy | undefined,
  told: (part: number) => void,
): Promise<Judged> {
  if (file.size > MOST_BYTES) throw new Error('A file may have at most 16 MB.');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error('The file is not UTF-8 text. Save it as CSV in UTF-8. Nothing was sent.');
  }
  const judging = judgeLines(text, policy ?? DEFAULT_NUMBERS, { keys: true });
  let last = performance.now();
  for (;;) {
    const step = judging.next();
    if (step.done) return step.value;
    if (performance.now() - last < 12) continue;
    told(step.value[0] / Math.max(1, step.value[1]));
    await breathe();
    last = performance.now();
  }
}
