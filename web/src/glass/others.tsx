import type { Assertion, Grant } from '../../../src/seal/messages.ts';
import { packJson } from '../shared/bytes.ts';
import { Problem } from '../shared/problem.ts';
import { askReveal, cosignatures } from './server.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks for a grant's values; beyond the organisation's day it waits, while the grant lives, for others to sign it too. */
export async function askWithOthers(grant: Grant, assertion: Assertion, onWait: () => void) {
  let others: readonly Assertion[] = [];
  for (;;) {
    try {
      return await askReveal(grant, assertion, others);
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'second-person')) throw error;
    }
    onWait();
    const before = others.length;
    while (others.length <= before) {
      if (Date.now() > grant.notAfter) throw new Error('Nobody else signed in time. Nothing was read; start again.');
      await pause(2_000);
      ({ others } = await cosignatures(grant.id));
    }
  }
}

/** What the reader gives a colleague. */
export function AskColleague({ grant }: { grant: Grant }) {
  const link = `${location.origin}/#cosign=${packJson(grant)}`;
  return (
    <div className="note warn stack">
      <p>
        <strong>Another administrator signs this too.</strong> The organisation’s limit of this day is reached. Give a
        colleague this link; this page goes on by itself.
      </p>
      <p className="origin mono">{link}</p>
      <p>
        <button type="button" onClick={() => navigator.clipboard.writeText(link)}>
          Copy the link
        </button>
      </p>
    </div>
  );
}
