import { useState } from 'react';
import { useAct } from '../data.ts';
import { Dialog, Refused } from '../parts.tsx';
import { enrolmentApi, type HoldersDone } from './enrolment-api.ts';

const devices = (n: number) => `${n} ${n === 1 ? 'device' : 'devices'}`;

function Done({ done }: { done: HoldersDone }) {
  const left = [
    ...done.refused.map(({ line, why }) => `line ${line}: ${why}`),
    ...done.nobody.map((handle) => `${handle} is nobody in the directory`),
    ...done.own.map((serial) => `${serial} is its holder’s own`),
  ];
  return (
    <>
      <p role="status">
        {devices(done.given)} got a holder, {done.same} had the same; {done.waits} wait for Apple to name them.
      </p>
      {left.length === 0 ? null : (
        <div className="note warn stack tight">
          <strong>Left out</strong>
          <ul className="bullets small">
            {left.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

/** Names the holders of many devices at once, by serial number. */
export function NameHolders({ onClose }: { onClose: () => void }) {
  const [csv, setCsv] = useState('');
  const [done, setDone] = useState<HoldersDone>();
  const name = useAct(async () => setDone(await enrolmentApi.nameHolders(csv)));
  return (
    <Dialog title="Name holders by serial number" onClose={onClose}>
      <p className="quiet">
        One line a device: serial number, comma, handle. A device that is here gets its holder at once, one that Apple
        has not named yet when it does. Handles only: no names.
      </p>
      <div className="field">
        <label htmlFor="holders-csv">List</label>
        <textarea
          id="holders-csv"
          className="mono"
          rows={8}
          spellCheck={false}
          placeholder="serial,handle"
          value={csv}
          onChange={(event) => setCsv(event.target.value)}
        />
      </div>
      <label className="button">
        Take a CSV file
        <input
          type="file"
          className="hidden-visually"
          accept=".csv,text/csv,text/plain"
          onChange={async (event) => setCsv((await event.target.files?.[0]?.text()) ?? csv)}
        />
      </label>
      {done === undefined ? null : <Done done={done} />}
      <Refused problem={name.problem} />
      <div className="row">
        <button
          type="button"
          className="primary"
          disabled={name.busy || csv.trim() === ''}
          onClick={() => void name.run()}
        >
          Name them
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
