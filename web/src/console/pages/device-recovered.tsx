import { useState } from 'react';
import { send } from '../client.ts';
import { useAct } from '../data.ts';
import { Dialog, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';

/** What somebody asks for when a device is lost. */
export const FOR_LOST = ['DeviceLock', 'EnableLostMode', 'DeviceLocation', 'PlayLostModeSound', 'EraseDevice'];

/**
 * A lost device is back: what was to lock, track or erase it and was not fetched is taken back. `offered` while there is any;
 * what came of it is told when nothing waits any more.
 */
export function Recovered({
  device,
  offered,
  onDone,
}: {
  readonly device: string;
  readonly offered: boolean;
  readonly onDone: () => void;
}) {
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(false);
  const [cancelled, setCancelled] = useState<number>();
  const act = useAct(async () => {
    const answer = await send<{ cancelled: number }>('POST', `/devices/${device}/recovered`, {});
    setCancelled(answer.cancelled);
    setAsking(false);
    onDone();
  });
  if (!mayChange) return null;
  return (
    <>
      {offered ? (
        <button type="button" onClick={() => setAsking(true)}>
          The device was recovered
        </button>
      ) : null}{' '}
      {cancelled === undefined ? null : (
        <span role="status" className="small">
          {cancelled === 0 ? 'Nothing was left to take back.' : `${cancelled} taken back.`}
        </span>
      )}
      {asking ? (
        <Dialog title={`${device} was recovered`} onClose={() => setAsking(false)}>
          <p className="note">
            What was to lock, track or erase it and was not fetched yet is taken back. What the device has fetched
            already happens.
          </p>
          <Refused problem={act.problem} />
          <div className="row">
            <button type="button" className="primary" disabled={act.busy} onClick={() => void act.run()}>
              Take it back
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}
