import { useState } from 'react';
import { asProblem, type Problem } from '../../shared/problem.ts';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct } from '../data.ts';
import { Chip, Dialog, Refused, type Tone } from '../parts.tsx';

export interface PackageRow {
  readonly id: string;
  readonly version: string;
  readonly build: string;
  readonly minimumOs: string | null;
  readonly size: number;
  readonly sha256: string;
  readonly fingerprint: string;
  readonly state: 'proposed' | 'ready' | 'refused';
  readonly reason: string | null;
  readonly storedBy: string;
  readonly storedAt: string;
}

interface Finished {
  readonly identifier: string;
  readonly version: string;
}

const one = encodeURIComponent;
const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0)} MiB`;

/** Sends a package part by part, so that no request is larger or slower than any other. */
async function handIn(file: File, onPart: (sent: number) => void): Promise<Finished> {
  const { id, partBytes } = await send<{ id: string; partBytes: number }>('POST', '/packages', { size: file.size });
  for (let n = 0; n * partBytes < file.size; n += 1) {
    await call<void>(`/packages/${one(id)}/parts/${n}`, {
      method: 'POST',
      headers: { 'x-bartizan': '1', 'content-type': 'application/octet-stream' },
      body: file.slice(n * partBytes, (n + 1) * partBytes),
    });
    onPart(Math.min(file.size, (n + 1) * partBytes));
  }
  return send<Finished>('POST', `/packages/${one(id)}/finish`, {});
}

/** Hands in an app of our own. */
export function HandIn({ onClose }: { onClose: () => void }) {
  const [file, setFile] = useState<File>();
  const [sent, setSent] = useState<number>();
  const [done, setDone] = useState<Finished>();
  const [problem, setProblem] = useState<Problem>();
  const busy = sent !== undefined && done === undefined && problem === undefined;
  async function start(chosen: File) {
    setProblem(undefined);
    setDone(undefined);
    setSent(0);
    try {
      setDone(await handIn(chosen, setSent));
    } catch (error) {
      setProblem(asProblem(error));
    }
  }
  return (
    <Dialog title="Hand in an app of ours" onClose={onClose}>
      <p className="quiet">
        An <code>.ipa</code> of at most 512 MiB, signed for your organisation. Which app and version it is stands in the
        package itself. It goes out in rings, and each ring waits for two people.
      </p>
      <label className="button">
        {file === undefined ? 'Choose a package' : file.name}
        <input
          type="file"
          className="hidden-visually"
          accept=".ipa,application/octet-stream"
          disabled={busy}
          onChange={(event) => {
            setFile(event.target.files?.[0]);
            setSent(undefined);
            setDone(undefined);
            setProblem(undefined);
          }}
        />
      </label>
      {file === undefined || sent === undefined || done !== undefined ? null : (
        <p className="row">
          <progress max={file.size} value={sent} aria-label="Sent" />
          <span role="status">
            {sent === file.size && problem === undefined
              ? 'Reading it'
              : `${mebibytes(sent)} of ${mebibytes(file.size)}`}
          </span>
        </p>
      )}
      {done === undefined ? null : (
        <p className="note good" role="status">
          <strong>
            {done.identifier} {done.version}
          </strong>{' '}
          is in. Core reads and signs it; then assign it to a group and roll it out.
        </p>
      )}
      <Refused problem={problem} />
      <div className="row">
        <button
          type="button"
          className="primary"
          disabled={file === undefined || busy || done !== undefined}
          onClick={() => file !== undefined && void start(file)}
        >
          Hand it in
        </button>
        <button type="button" disabled={busy} onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

const STATE: Readonly<Record<PackageRow['state'], readonly [Tone, string]>> = {
  proposed: ['info', 'being read'],
  ready: ['good', 'signed'],
  refused: ['bad', 'refused'],
};

/** The packages of one app, newest first. */
export function PackageList({
  packages,
  mayChange,
  onChange,
}: {
  packages: readonly PackageRow[];
  mayChange: boolean;
  onChange: () => void;
}) {
  const remove = useAct(async (id: string) => {
    await send<void>('DELETE', `/packages/${one(id)}`);
    onChange();
  });
  return (
    <details>
      <summary>
        {packages.length === 1 ? '1 package' : `${packages.length} packages`}, the newest {packages[0]!.version}
      </summary>
      <ul>
        {packages.map((pack) => (
          <li key={pack.id} className="command">
            <div className="row apart">
              <span>
                <strong>{pack.version}</strong> ({pack.build}){' '}
                <Chip tone={STATE[pack.state][0]}>{STATE[pack.state][1]}</Chip>{' '}
                <span className="quiet small">
                  {mebibytes(pack.size)}
                  {pack.minimumOs === null ? '' : `, iOS ${pack.minimumOs} or later`}, handed in{' '}
                  <When at={pack.storedAt} /> by <span className="mono">{pack.storedBy}</span>
                </span>
              </span>
              <button
                type="button"
                className="plain"
                hidden={!mayChange}
                disabled={remove.busy}
                aria-label={`Remove the package ${pack.version}`}
                onClick={() => void remove.run(pack.id)}
              >
                Remove
              </button>
            </div>
            {pack.reason === null ? null : <p className="small bad-text">{pack.reason}</p>}
            <p className="small quiet wrap-anywhere">
              SHA-256 <span className="mono">{pack.sha256}</span>; in its address{' '}
              <span className="mono">{pack.fingerprint}</span>
            </p>
          </li>
        ))}
      </ul>
      <Refused problem={remove.problem} />
    </details>
  );
}
