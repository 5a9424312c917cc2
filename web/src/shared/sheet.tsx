import { useEffect, useState } from 'react';
import { isInLog } from './log-proof.ts';
import type { SheetPage } from './sheet-page.ts';
import { utc } from './time.tsx';

const FIELD: Readonly<Record<string, string>> = { name: 'name', number: 'mobile number', email: 'e-mail address' };

/** Whether each entry is in the log, checked in this page; an entry that is not checked yet is not in the map. */
function useProven(pages: readonly SheetPage[], verifier: string): ReadonlyMap<number, boolean> {
  const [proven, setProven] = useState<ReadonlyMap<number, boolean>>(new Map());
  useEffect(() => {
    let here = true;
    void (async () => {
      const found = new Map<number, boolean>();
      for (const { entries, checkpoint } of pages) {
        for (const entry of entries) {
          const said = JSON.parse(entry.envelope) as { actor?: string; time?: number };
          const agrees = said.actor === entry.admin && said.time === entry.time;
          found.set(entry.leaf, agrees && (await isInLog(entry, checkpoint, verifier)));
        }
      }
      if (here) setProven(found);
    })();
    return () => {
      here = false;
    };
  }, [pages, verifier]);
  return proven;
}

function Proof({ proven }: { proven: boolean | undefined }) {
  if (proven === undefined) return <span className="quiet">being checked</span>;
  return proven ? <span className="chip good">in the log</span> : <span className="chip bad">not proven</span>;
}

/** Who looked, at what, when and why; each line with the word whether the log confirms it. */
export function Sheet({ pages, verifier }: { pages: readonly SheetPage[]; verifier: string }) {
  const proven = useProven(pages, verifier);
  const entries = pages.flatMap((page) => page.entries);
  if (entries.length === 0) return <p className="note good">Nobody has looked at these values.</p>;
  return (
    <div className="scroll">
      <table className="sheet">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What</th>
            <th scope="col">By</th>
            <th scope="col">Why</th>
            <th scope="col">Entry</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.leaf}>
              <td className="nowrap">{utc(entry.time)}</td>
              <td>
                {entry.kind === 'directory.erased'
                  ? 'erased'
                  : `${FIELD[entry.field ?? ''] ?? entry.field ?? 'a value'} read`}
              </td>
              <td>
                <span className="mono">{entry.admin ?? 'unknown'}</span>
                {entry.role === null ? null : <span className="quiet small"> {entry.role}</span>}
              </td>
              <td>{entry.purpose ?? ''}</td>
              <td className="nowrap">
                <span className="mono">{entry.leaf}</span> <Proof proven={proven.get(entry.leaf)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
