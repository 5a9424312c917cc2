import { useState } from 'react';
import { Sheet } from '../shared/sheet.tsx';
import type { SheetPage } from '../shared/sheet-page.ts';
import { Card, Trouble } from './parts.tsx';
import { askSheet, type Published } from './server.ts';

/** A person's own page, by a link that works once: who looked at their data, from the log. */
export function OwnSheet({ token, config }: { token: string; config: Published }) {
  const [shown, setShown] = useState<{ handle: string; pages: readonly SheetPage[]; complete: boolean }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();

  if (shown === undefined) {
    const open = async () => {
      setBusy(true);
      setError(undefined);
      try {
        setShown(await askSheet(token));
      } catch (caught) {
        setError(caught as Error);
      } finally {
        setBusy(false);
      }
    };
    return (
      <Card title="Who looked at my data?">
        <p>
          Your name, number and e-mail address are sealed here. Each time an administrator opens one of them, a line is
          written to a log that nobody can change. This link shows you the lines about you.
        </p>
        <p className="quiet">It works once. Print or save the page if you want to keep it.</p>
        <Trouble error={error} />
        <div className="row">
          <button type="button" className="primary" disabled={busy} onClick={open}>
            Show me
          </button>
          <span role="status">{busy ? 'Reading the log' : ''}</span>
        </div>
      </Card>
    );
  }

  return (
    <Card title="Who looked at my data">
      <p>
        You are <strong className="mono">{shown.handle}</strong> here: administrators see this handle, and your values
        only when they say why and touch a security key.
      </p>
      <Sheet pages={shown.pages} verifier={config.keys.log} />
      <p className="quiet small">
        “In the log” was checked in this page: the entry’s time and administrator stand in the log that the ledger
        signed. What was read and why are the ledger’s words; your data protection officer can prove those too.
        {shown.complete ? '' : ' There are older entries; ask your data protection officer for them.'}
      </p>
      <div className="row">
        <button type="button" onClick={() => print()}>
          Print
        </button>
      </div>
    </Card>
  );
}
