import { useState } from 'react';
import { CUSTODIANS, SEALED_KEYS, type SealedState } from '../../../../src/seal/roster.ts';
import { When } from '../../shared/time.tsx';
import { useAnswer } from '../data.ts';
import { Chip, Frame, GlassLink, Loaded, type Tone } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';
import { type Roster, rosterApi } from './roster-api.ts';
import { AskRoster } from './roster-ask.tsx';

const STATE: Readonly<Record<SealedState, [Tone, string, string]>> = {
  none: ['warn', 'none', 'No sealed keys are registered. Nothing helps if your administrators are locked out.'],
  registering: ['warn', 'being registered', 'Some of the five links were not used yet. They work for 24 hours.'],
  sealed: ['good', 'sealed', 'Two keys in two safes, three custodians. They have no rights until they are opened.'],
  open: ['bad', 'open', 'A sealed key is open for one hour. It reads a few values and signs within the limits.'],
  spent: ['bad', 'used', 'The keys were opened and are dead for good. Register and seal a new pair.'],
};

function Review({ roster, onClose }: { roster: Roster; onClose: () => void }) {
  const [verdict, setVerdict] = useState<'proper' | 'improper'>('proper');
  const { opening } = roster.breakGlass;
  return (
    <AskRoster
      title="Review the opening"
      change={() => ({ act: 'review', opening, verdict })}
      needs={roster.threshold}
      onClose={onClose}
    >
      <fieldset className="builder">
        <legend>Was it proper?</legend>
        {(['proper', 'improper'] as const).map((one) => (
          <label key={one} className="choice">
            <input type="radio" name="verdict" checked={verdict === one} onChange={() => setVerdict(one)} />
            <span>
              {one === 'proper' ? 'Proper: an emergency, used for it alone.' : 'Improper: open an incident too.'}
            </span>
          </label>
        ))}
      </fieldset>
    </AskRoster>
  );
}

export function SealedPage() {
  const answer = useAnswer('roster', rosterApi.roster);
  const { glass } = useSession();
  const mayChange = useMayChange();
  const [asking, setAsking] = useState<'register' | 'review'>();
  const close = () => {
    setAsking(undefined);
    answer.reload();
  };
  return (
    <Frame title="Break-glass">
      <p className="quiet">
        For the day when nobody can act: two keys in two safes. Two of three custodians open one, on glass, for one hour
        and 25 values. It is loud, and the keys are dead afterwards.
      </p>
      <Loaded answer={answer}>
        {(roster) => {
          const { breakGlass } = roster;
          const [tone, word, means] = STATE[breakGlass.state];
          return (
            <>
              <section className="section stack">
                <div className="row">
                  <h2>Sealed keys</h2>
                  <Chip tone={tone}>{word}</Chip>
                  {breakGlass.reviewed ? null : <Chip tone="bad">not reviewed</Chip>}
                </div>
                <p>{means}</p>
                <dl className="facts">
                  {breakGlass.state === 'open' ? (
                    <>
                      <dt>Closes</dt>
                      <dd>
                        <When at={breakGlass.until} />, {breakGlass.left} values left
                      </dd>
                    </>
                  ) : null}
                  {breakGlass.opening === null ? null : (
                    <>
                      <dt>Last opening</dt>
                      <dd className="mono wrap-anywhere">{breakGlass.opening}</dd>
                    </>
                  )}
                  <dt>Last drill</dt>
                  <dd>
                    <When at={breakGlass.drilledAt} />
                  </dd>
                  <dt>Passkeys</dt>
                  <dd>
                    <ul>
                      {[...SEALED_KEYS, ...CUSTODIANS].map((name) => (
                        <li key={name}>
                          <span className="mono">{name}</span>{' '}
                          {breakGlass.enrolled.includes(name) ? (
                            <Chip tone="good">registered</Chip>
                          ) : (
                            <Chip tone="quiet">missing</Chip>
                          )}
                        </li>
                      ))}
                    </ul>
                  </dd>
                </dl>
                <div className="row">
                  {mayChange ? (
                    <button type="button" onClick={() => setAsking('register')}>
                      Register a new pair
                    </button>
                  ) : null}
                  {mayChange && !breakGlass.reviewed ? (
                    <button type="button" className="primary" onClick={() => setAsking('review')}>
                      Review the opening
                    </button>
                  ) : null}
                  <GlassLink glass={glass} task="break-glass=drill">
                    Hold a drill
                  </GlassLink>
                  <GlassLink glass={glass} task="break-glass=open">
                    Open for an emergency
                  </GlassLink>
                </div>
              </section>
              <section className="section stack">
                <h2>Recovery key</h2>
                <p>
                  {roster.recovery
                    ? 'A recovery key was pinned at founding. Whoever holds it can make the roster anew; everybody sees it in the log.'
                    : 'None was pinned at founding. If every administrator is lost, nobody can make a new roster.'}
                </p>
              </section>
              {asking === 'register' ? (
                <AskRoster
                  title="Register sealed keys and custodians"
                  change={() => ({ act: 'break-glass' })}
                  needs={roster.threshold}
                  onClose={close}
                >
                  <p className="note warn">
                    Five links are made: for two hardware keys and three custodians. Keys that are registered now are
                    dead once this is signed.
                  </p>
                </AskRoster>
              ) : null}
              {asking === 'review' ? <Review roster={roster} onClose={close} /> : null}
            </>
          );
        }}
      </Loaded>
    </Frame>
  );
}
