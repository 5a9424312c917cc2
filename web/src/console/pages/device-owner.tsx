import { useState } from 'react';
import { useAct } from '../data.ts';
import { Dialog, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { enrolmentApi, type Ownership } from './enrolment-api.ts';

/** Whose the device is; the organisation's can be made its holder's, and not back. */
export function Owner({ device, ownership, onDone }: { device: string; ownership: Ownership; onDone: () => void }) {
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(false);
  const mark = useAct(async () => {
    await enrolmentApi.markPersonal(device);
    setAsking(false);
    onDone();
  });
  if (ownership === 'personal') return <>the holder (never erased)</>;
  if (!mayChange) return <>the organisation</>;
  return (
    <>
      the organisation{' '}
      <button type="button" className="plain" onClick={() => setAsking(true)}>
        It is the holder’s own
      </button>
      {asking ? (
        <Dialog title={`${device} is its holder’s own`} onClose={() => setAsking(false)}>
          <p className="note warn">
            <strong>From then on nobody can erase it</strong>, only take management away. There is no way back but a new
            enrolment. An erase that waits for it is cancelled.
          </p>
          <Refused problem={mark.problem} />
          <div className="row">
            <button type="button" className="primary" disabled={mark.busy} onClick={() => void mark.run()}>
              Mark as personal
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
