import { useEffect, useState } from 'react';
import { When } from '../shared/time.tsx';
import { type GlassRoster, roster } from './server.ts';

/** On every page of glass while sealed keys are open, or limits are on their way up. */
export function SealedBanner() {
  const [present, setPresent] = useState<GlassRoster | null>(null);
  useEffect(() => {
    const ask = () => void roster().then(setPresent, () => {});
    ask();
    const timer = setInterval(ask, 30_000);
    return () => clearInterval(timer);
  }, []);
  if (present === null) return null;
  const { breakGlass, raises } = present;
  return (
    <>
      {breakGlass.state === 'open' ? (
        <p className="banner bad" role="status">
          <strong>The sealed keys are open</strong> until <When at={breakGlass.until} />. {breakGlass.left} values are
          left.
        </p>
      ) : null}
      {raises.length === 0 ? null : (
        <p className="banner warn" role="status">
          {raises.length === 1 ? 'A limit goes up' : `${raises.length} limits go up`}{' '}
          <When at={Math.min(...raises.map(({ from }) => from))} />. <a href="#stop-raise">Stop it</a>
        </p>
      )}
    </>
  );
}
