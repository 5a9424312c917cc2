import { useState } from 'react';
import { useAct } from '../data.ts';
import { Dialog, PersonLink, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { enrolmentApi } from './enrolment-api.ts';

const HANDLE = /^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/;

/** Who holds a device, by handle, and the way to give it to somebody else. */
export function Holder({
  device,
  holder,
  fixed,
  onDone,
}: {
  device: string;
  holder: string | null;
  /** It cannot be changed: the device is retired, or its holder's own. */
  fixed: boolean;
  onDone: () => void;
}) {
  const mayChange = useMayChange();
  const [giving, setGiving] = useState(false);
  const [handle, setHandle] = useState('');
  const give = useAct(async (to: string | null) => {
    await enrolmentApi.giveHolder(device, to);
    setGiving(false);
    setHandle('');
    onDone();
  });
  return (
    <>
      <PersonLink handle={holder} />{' '}
      {fixed || !mayChange ? null : (
        <button type="button" className="plain" onClick={() => setGiving(true)}>
          {holder === null ? 'Give it a holder' : 'Change'}
        </button>
      )}
      {giving ? (
        <Dialog title={`Who holds ${device}?`} onClose={() => setGiving(false)}>
          <div className="field">
            <label htmlFor="holder-handle">
              Handle <span className="hint">as in People, such as amber-otter-4821; never a name</span>
            </label>
            <input
              id="holder-handle"
              className="mono"
              spellCheck={false}
              value={handle}
              onChange={(event) => setHandle(event.target.value.trim().toLowerCase())}
            />
          </div>
          <Refused problem={give.problem} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={give.busy || !HANDLE.test(handle)}
              onClick={() => void give.run(handle)}
            >
              Give it
            </button>
            {holder === null ? null : (
              <button type="button" disabled={give.busy} onClick={() => void give.run(null)}>
                Nobody holds it
              </button>
            )}
            <button type="button" onClick={() => setGiving(false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}
