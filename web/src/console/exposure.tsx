import { utc, When } from '../shared/time.tsx';
import { api } from './client.ts';
import { useAct } from './data.ts';
import type { Exposure } from './model.ts';
import { Chip, Empty, PersonLink, Refused } from './parts.tsx';
import { SaveButton } from './save.tsx';

function Entries({ entries }: { entries: Exposure['entries'] }) {
  if (entries.length === 0) return <Empty title="The log holds no opening in this window" />;
  return (
    <ul>
      {entries.map((entry) => (
        <li key={entry.leaf} className="command">
          <details>
            <summary>
              Leaf {entry.leaf}: {entry.subjects.length} × {entry.field} by <span className="mono">{entry.admin}</span>{' '}
              {entry.verified ? <Chip tone="good">proof holds</Chip> : <Chip tone="bad">not proven</Chip>}
            </summary>
            <dl className="facts">
              <dt>When</dt>
              <dd>{utc(entry.time)}</dd>
              <dt>Why</dt>
              <dd>“{entry.purpose}”</dd>
              <dt>Grant</dt>
              <dd className="mono small">{entry.grant}</dd>
              <dt>Whose</dt>
              <dd className="handle-list">
                {entry.subjects.map((subject) => (
                  <PersonLink key={subject} handle={subject} />
                ))}
              </dd>
              <dt>Inclusion proof</dt>
              <dd className="mono small">
                {entry.proof.length === 0
                  ? 'none needed: the only leaf'
                  : entry.proof.map((hash) => <div key={hash}>{hash}</div>)}
              </dd>
            </dl>
          </details>
        </li>
      ))}
    </ul>
  );
}

function Report({ incident, report }: { incident: string; report: Exposure }) {
  return (
    <div className="stack">
      <p className="quiet">
        Made <When at={report.madeAt} />, over {utc(report.from)} to {utc(report.to)}, for acts of{' '}
        <span className="mono">{report.principal ?? 'everybody'}</span>.
      </p>
      {report.complete ? null : (
        <p className="note bad">
          At least one entry could not be re-derived from the log. The upper bound is therefore everybody.
        </p>
      )}
      <div className="exposure">
        <div>
          <strong>{report.provenCount}</strong> proven: opened, as the log shows
        </div>
        <div>
          <strong>{report.upperBoundCount}</strong> upper bound: cannot be excluded
        </div>
        <div>
          <strong>{report.unreadableCount}</strong> unreadable: their locks were not used
        </div>
      </div>
      {report.caveats.length === 0 ? null : (
        <ul className="note">
          {report.caveats.map((caveat) => (
            <li key={caveat}>{caveat}</li>
          ))}
        </ul>
      )}
      <details>
        <summary>The {report.provenCount} people whose data was read</summary>
        {report.proven.length === 0 ? (
          <p className="quiet">Nobody.</p>
        ) : (
          <p className="handle-list">
            {report.proven.map((handle) => (
              <PersonLink key={handle} handle={handle} />
            ))}
          </p>
        )}
      </details>
      <h3>Log entries</h3>
      <Entries entries={report.entries} />
      <details>
        <summary>Checkpoint that the proofs lead to</summary>
        <pre className="pre">{report.checkpoint}</pre>
      </details>
      <div className="row">
        <SaveButton
          path={api.exposureFile(incident, report.id, 'md')}
          name={`exposure-${report.id}.md`}
          label="Download Markdown"
        />
        <SaveButton
          path={api.exposureFile(incident, report.id, 'json')}
          name={`exposure-${report.id}.json`}
          label="Download JSON"
        />
      </div>
    </div>
  );
}

/** Who was read, and how surely: the newest report, and the button that makes another from the ledger. */
export function ExposurePanel({
  incident,
  reports,
  onMade,
}: {
  incident: string;
  reports: readonly Exposure[];
  onMade: () => void;
}) {
  const make = useAct(async () => {
    await api.makeExposure(incident);
    onMade();
  });
  const [newest, ...older] = reports;
  return (
    <section className="section" aria-labelledby="exposure">
      <div className="row apart">
        <h2 id="exposure">Exposure</h2>
        <button type="button" disabled={make.busy} onClick={() => make.run()}>
          {newest === undefined ? 'Make the exposure report' : 'Make a new report'}
        </button>
      </div>
      <Refused problem={make.problem} />
      {newest === undefined ? (
        <Empty title="Not yet known">
          The report is made from the ledger’s entries, each with its proof. It takes a second.
        </Empty>
      ) : (
        <Report incident={incident} report={newest} />
      )}
      {older.length === 0 ? null : (
        <details>
          <summary>
            {older.length} earlier {older.length === 1 ? 'report' : 'reports'}
          </summary>
          <ul>
            {older.map((report) => (
              <li key={report.id}>
                {utc(report.madeAt)}: {report.provenCount} proven, {report.upperBoundCount} upper bound,{' '}
                {report.unreadableCount} unreadable
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
