import { useState } from 'react';
import { QUORUM_CAPS, type QuorumCap, type QuorumCaps } from '../../../../src/seal/roster.ts';
import { When } from '../../shared/time.tsx';
import { useAnswer } from '../data.ts';
import { Chip, Frame, GlassLink, Loaded } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';
import { type Roster, rosterApi } from './roster-api.ts';
import { AskRoster } from './roster-ask.tsx';

const WORDS: Readonly<Record<QuorumCap, [string, string]>> = {
  perTouch: ['People in one touch', 'at most'],
  perDay: ['Numbers', 'a day and admin; device names and places the same, each by itself'],
  namesPerDay: ['Names', 'a day and admin'],
  emailsPerDay: ['E-mail addresses', 'a day and admin'],
  secretsPerDay: ['Secrets of devices', 'a day and admin'],
  orgPerDay: ['All admins together', 'a day and class; above, a second person signs; above ten times, a third'],
  people: [
    'People in the organisation',
    'declared; half a per cent of them counts if that is more, and 5 % for the third',
  ],
  destroyPerHour: ['Devices erased an hour', 'whoever signs'],
  destroyPerDay: ['Devices erased a day', 'whoever signs'],
};

function Change({ roster, onClose }: { roster: Roster; onClose: () => void }) {
  const [caps, setCaps] = useState<Record<QuorumCap, string>>(
    () => Object.fromEntries(QUORUM_CAPS.map((cap) => [cap, String(roster.caps[cap])])) as Record<QuorumCap, string>,
  );
  const asked = () => Object.fromEntries(QUORUM_CAPS.map((cap) => [cap, Number(caps[cap])])) as unknown as QuorumCaps;
  return (
    <AskRoster
      title="Change the limits"
      change={() => ({ act: 'caps', caps: asked() })}
      needs={roster.threshold}
      onClose={onClose}
    >
      <p className="note">Down counts at once. Up waits 24 hours, and any administrator can stop it meanwhile.</p>
      {QUORUM_CAPS.map((cap) => (
        <div className="field" key={cap}>
          <label htmlFor={`cap-${cap}`}>
            {WORDS[cap][0]} <span className="hint">{WORDS[cap][1]}</span>
          </label>
          <input
            id={`cap-${cap}`}
            type="number"
            required
            min={cap === 'perTouch' ? 1 : 0}
            max={cap === 'perTouch' ? 1_000 : cap === 'people' ? 100_000_000 : 1_000_000}
            value={caps[cap]}
            onChange={(event) => setCaps({ ...caps, [cap]: event.target.value })}
          />
        </div>
      ))}
    </AskRoster>
  );
}

/** On every page while limits go up or sealed keys are open. */
export function RosterBanner() {
  const { glass } = useSession();
  const { data } = useAnswer('roster', rosterApi.roster);
  if (data === undefined) return null;
  const { breakGlass, raises } = data;
  return (
    <>
      {breakGlass.state === 'open' ? (
        <div className="note bad" role="status">
          <strong>The sealed keys are open</strong> until <When at={breakGlass.until} />, {breakGlass.left} values left.{' '}
          <a href="/break-glass">Who, and why</a>
        </div>
      ) : null}
      {breakGlass.state === 'spent' || !breakGlass.reviewed ? (
        <div className="note warn" role="status">
          {breakGlass.state === 'spent' ? 'The sealed keys were used: register a new pair. ' : ''}
          {breakGlass.reviewed ? '' : 'Their use was not reviewed yet. '}
          <a href="/break-glass">Do it now</a>
        </div>
      ) : null}
      {raises.length === 0 ? null : (
        <div className="note warn row apart" role="status">
          <span>
            {raises.map((raise) => WORDS[raise.cap][0]).join(', ')}: up{' '}
            <When at={raises.map(({ from }) => from).sort()[0]} />, unless somebody stops it.
          </span>
          <GlassLink glass={glass} task="stop-raise=1">
            Stop it
          </GlassLink>
        </div>
      )}
    </>
  );
}

export function LimitsPage() {
  const answer = useAnswer('roster', rosterApi.roster);
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(false);
  return (
    <Frame
      title="Limits"
      aside={
        mayChange ? (
          <button type="button" onClick={() => setAsking(true)}>
            Change the limits
          </button>
        ) : undefined
      }
    >
      <p className="quiet">Each guard counts by itself. Days are UTC days; a clock that is moved frees nothing.</p>
      <Loaded answer={answer}>
        {(roster) => (
          <div className="scroll">
            <table className="list">
              <thead>
                <tr>
                  <th scope="col">What</th>
                  <th scope="col" className="number">
                    Limit
                  </th>
                  <th scope="col">On its way</th>
                  <th scope="col">Means</th>
                </tr>
              </thead>
              <tbody>
                {QUORUM_CAPS.map((cap) => {
                  const raise = roster.raises.find((one) => one.cap === cap);
                  return (
                    <tr key={cap}>
                      <th scope="row">{WORDS[cap][0]}</th>
                      <td className="number">{roster.caps[cap]}</td>
                      <td>
                        {raise === undefined ? null : (
                          <>
                            <Chip tone="warn">{raise.to}</Chip> <When at={raise.from} />
                          </>
                        )}
                      </td>
                      <td className="quiet">{WORDS[cap][1]}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {asking && answer.data !== undefined ? (
        <Change
          roster={answer.data}
          onClose={() => {
            setAsking(false);
            answer.reload();
          }}
        />
      ) : null}
    </Frame>
  );
}
