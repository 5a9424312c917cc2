import { useEffect, useState } from 'react';
import { fromBase64url } from '../shared/bytes.ts';
import { Problem } from '../shared/problem.ts';
import { saveFile } from '../shared/save-file.ts';
import { Card, Trouble } from './parts.tsx';
import { type ExportState, exportPart, exportState } from './server.ts';

const LOOK_MS = 1_500;

async function fetchFile(id: string, { parts = 0 }: ExportState): Promise<Blob> {
  const got: BlobPart[] = [];
  for (let n = 0; n < parts; n += 1) got.push(fromBase64url((await exportPart(id, n)).part));
  return new Blob(got, { type: 'application/octet-stream' });
}

/** How far an export is, and the file: encrypted to its recipients before it came here. */
export function ExportFile({ id }: { id: string }) {
  const [state, setState] = useState<ExportState>();
  const [waits, setWaits] = useState(false);
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const look = () =>
      exportState(id).then(
        (now) => {
          setState(now);
          setWaits(false);
        },
        (caught: unknown) => {
          if (caught instanceof Problem && caught.status === 404) setWaits(true);
          else setError(caught as Error);
        },
      );
    void look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [id]);

  async function save() {
    setBusy(true);
    setError(undefined);
    try {
      saveFile(`people-${id}.age`, await fetchFile(id, state!));
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Card title="Export of people">
      {waits && state === undefined ? (
        <p className="note info" role="status">
          Nothing is under way: it waits for two signatures, or it is over. A finished file is kept for an hour.
        </p>
      ) : null}
      {state?.state === 'making' ? (
        <>
          <p role="status">
            {state.done.toLocaleString('en')} of {state.people.toLocaleString('en')} people
          </p>
          <progress max={state.people} value={state.done} aria-label="People in the file" />
        </>
      ) : null}
      {state?.state === 'failed' ? (
        <p className="note bad" role="alert">
          <strong>It failed.</strong> {state.why}
        </p>
      ) : null}
      {state?.state === 'done' ? (
        <>
          <p className="note good" role="status">
            The file is ready: {state.bytes?.toLocaleString('en')} bytes. Only its recipients can open it. It is kept in
            the memory of one guard for an hour from the signatures.
          </p>
          <dl className="facts">
            <dt>SHA-256</dt>
            <dd className="mono wrap-anywhere">{state.sha256}</dd>
          </dl>
          <p>
            <button type="button" className="primary" disabled={busy} onClick={save}>
              Save the file
            </button>
          </p>
          <p className="quiet small">
            The recipient opens it with <code className="mono">age -d -i key people-….age</code>. Some lines are decoys
            that only this file has: if it turns up somewhere, it can be told from others.
          </p>
        </>
      ) : null}
      <Trouble error={error} />
    </Card>
  );
}
