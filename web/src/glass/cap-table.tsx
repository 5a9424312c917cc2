import { useEffect, useState } from 'react';
import { QUORUM_CAPS, type QuorumCap, type QuorumCaps } from '../../../src/seal/roster.ts';
import { type GlassRoster, roster } from './server.ts';

/** The limits that a document sets beside those in force. */
export function CapTable({ caps, words }: { caps: QuorumCaps; words: Readonly<Record<QuorumCap, string>> }) {
  const [present, setPresent] = useState<GlassRoster | null>(null);
  useEffect(() => {
    roster().then(setPresent, () => setPresent(null));
  }, []);
  const say = (cap: QuorumCap): string => {
    const now = present?.caps[cap];
    if (now === undefined) return '';
    if (now === caps[cap]) return 'as now';
    return caps[cap] > now ? `up from ${now}, in 24 hours` : `down from ${now}, at once`;
  };
  return (
    <ul>
      {QUORUM_CAPS.map((cap) => (
        <li key={cap}>
          <strong>{caps[cap]}</strong> {words[cap]} <span className="quiet">{say(cap)}</span>
        </li>
      ))}
    </ul>
  );
}
