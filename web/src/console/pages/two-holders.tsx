import { When } from '../../shared/time.tsx';
import { send } from '../client.ts';
import { useAct } from '../data.ts';
import { Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';

/** A device whose old certificate was used after its new one: what waits is held, and why. */
export function TwoHolders({ device, at, onDone }: { device: string; at: string; onDone: () => void }) {
  const mayChange = useSession().role === 'administrator';
  const trust = useAct(async () => {
    await send<void>('POST', `/devices/${encodeURIComponent(device)}/trust-holder`, {});
    onDone();
  });
  return (
    <section className="section">
      <div className="note bad stack">
        <p>
          <strong>Two hold the keys of this device.</strong> Its old certificate was used after its new one (
          <When at={at} />
          ). One of the two is a copy; which, cannot be known from here. Nothing is handed to either, except locking,
          lost mode and erasing.
        </p>
        <p>
          Safest is to revoke its certificates below and to enrol the phone anew. If you know that the phone itself came
          with an older state, let its commands go on.
        </p>
        <Refused problem={trust.problem} />
        {mayChange ? (
          <div className="row">
            <button type="button" disabled={trust.busy} onClick={() => void trust.run()}>
              Let its commands go on
            </button>
          </div>
        ) : null}
      </div>
    </section>
  );
}
