import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct } from '../data.ts';
import { Chip, Dialog, GlassLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { type DeclarationSet, declaredApi } from './declared-api.ts';

/** Asks two people to sign for the dangerous declarations of a set; each reads them on glass. */
export function AskDialog({ of, onClose, onDone }: { of: DeclarationSet; onClose: () => void; onDone: () => void }) {
  const { glass } = useSession();
  const [purpose, setPurpose] = useState('');
  const [days, setDays] = useState('365');
  const [approval, setApproval] = useState<string>();
  const ask = useAct(async () => {
    setApproval((await declaredApi.ask(of.id, { purpose, days: Number(days) })).approval);
    onDone();
  });
  return (
    <Dialog title={`Ask two people to agree to ${of.name}`} onClose={onClose}>
      {approval === undefined ? (
        <>
          <p>
            They sign with their passkeys for exactly what the declarations say now, and for exactly the devices that
            the set is for now. A device that comes to the set later, and any change, needs them anew.
          </p>
          <div className="field">
            <label htmlFor="ask-purpose">Why</label>
            <input
              id="ask-purpose"
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <div className="field">
            <label htmlFor="ask-days">Days until devices lose it, unless two people sign anew</label>
            <input
              id="ask-days"
              type="number"
              min={1}
              max={399}
              value={days}
              onChange={(event) => setDays(event.target.value)}
            />
          </div>
          <Refused problem={ask.problem} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={ask.busy || purpose.trim().length < 5}
              onClick={() => void ask.run()}
            >
              Ask
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </>
      ) : (
        <>
          <p role="status">It waits for two signatures under Approvals. Yours may be one of them.</p>
          <div className="row">
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

/** How a set stands to what needs two people, and the way to ask them. */
export function Agreed({ of, mayChange, onAsk }: { of: DeclarationSet; mayChange: boolean; onAsk: () => void }) {
  const { glass } = useSession();
  const { permit } = of;
  if (permit === null) return null;
  return (
    <>
      {permit.waiting > 0 ? (
        <Chip tone="warn">
          {permit.guarded} dangerous, {permit.waiting} {permit.waiting === 1 ? 'device waits' : 'devices wait'} for two
          people
        </Chip>
      ) : null}
      {permit.until === null ? null : (
        <span className="quiet small">
          agreed until <When at={permit.until} />
        </span>
      )}
      {permit.approval !== null ? (
        <GlassLink glass={glass} task={`approve=${permit.approval}`}>
          Review and sign
        </GlassLink>
      ) : mayChange ? (
        <button type="button" className={permit.waiting > 0 ? '' : 'plain'} onClick={onAsk}>
          {permit.waiting > 0 ? 'Ask two people' : 'Renew'}
        </button>
      ) : null}
    </>
  );
}
