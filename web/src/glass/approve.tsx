import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { type Approvable, DESTROYING, EVERY_DEVICE, type LockScope } from '../../../src/seal/messages.ts';
import { utc, When } from '../shared/time.tsx';
import { verbEffect, verbHeading } from '../shared/verbs.ts';
import { Contents, useChecked } from './contents.tsx';
import { ExportParticulars, exportEffect, exportHeading } from './export-words.tsx';
import { NoticeParticulars } from './notice.tsx';
import { Card, Signer, Trouble } from './parts.tsx';
import { identify, known, touch } from './passkey.ts';
import { RosterParticulars, rosterEffect, rosterHeading } from './roster-words.tsx';
import { hydrateEffect, hydrateHeading } from './search-words.ts';
import { type ApprovalView, approval, signApproval } from './server.ts';

const SCOPE: Readonly<Record<LockScope, string>> = {
  directory: 'the directory of names and numbers',
  admin: 'the admin',
  commands: 'all destructive commands',
  role: 'everybody with the role',
  credential: 'the passkey',
  document: 'the request',
};

const counted = (devices: number) => `${devices} ${devices === 1 ? 'device' : 'devices'}`;

function heading(document: Approvable): string {
  if (document.op === 'command') {
    return verbHeading(document.verb, document.commands.length);
  }
  if (document.op === 'declare') {
    const { declarations, devices } = document;
    const what =
      declarations.length === 1 ? 'a dangerous declaration' : `${declarations.length} dangerous declarations`;
    return `Give ${what} to ${devices === EVERY_DEVICE ? 'every device' : counted(devices.length)}`;
  }
  if (document.op === 'invite') return `Invite ${document.admin}`;
  if (document.op === 'notice') return `Write to ${document.subjects.length} people`;
  if (document.op === 'rotate-locks') return 'Give everybody a new lock';
  if (document.op === 'roster') return rosterHeading(document.change);
  if (document.op === 'change') {
    return `Let a changed ${document.field === 'email' ? 'e-mail address' : 'mobile number'} in before its time`;
  }
  if (document.op === 'rotate-key') return `Put organisation key ${document.number} in force`;
  if (document.op === 'hydrate') return hydrateHeading(document);
  if (document.op === 'export') return exportHeading(document);
  if (document.op === 'leave') {
    const { length } = document.subjects;
    return length === 1 ? 'Erase a person who left' : `Erase ${length} people who left`;
  }
  return `Unlock ${SCOPE[document.scope]}${document.target === '' ? '' : ` ${document.target}`}`;
}

function effect(document: Approvable): ReactNode {
  if (document.op === 'command') {
    return verbEffect(document.verb);
  }
  if (document.op === 'declare') {
    return 'Such declarations can lead a device’s traffic elsewhere, make it trust another authority or read its mail. Read each address and host below; sign only what you know.';
  }
  if (document.op === 'invite') {
    return `A new person may register a passkey and act as ${document.role}. Check with them by another way that they asked for it.`;
  }
  if (document.op === 'notice') {
    return 'Each of these people receives exactly this text. Their numbers and addresses are opened to courier alone.';
  }
  if (document.op === 'rotate-locks') {
    return 'The ledger puts each value under a new lock and destroys the old ones; nothing is opened to anybody. Copies of the database and of the locks from before no longer fit together with what is stored now.';
  }
  if (document.op === 'roster') return rosterEffect(document.change);
  if (document.op === 'change') {
    return 'From then on it is used to reach this person. Sign only if the person said, at the number from before, that the change is theirs.';
  }
  if (document.op === 'rotate-key' && document.third !== undefined) {
    return 'Everything is sealed anew, to this key and under the third lock: from then on only the passkeys that it was shared with open names, numbers and addresses. The servers can never take it off; search, messages and exports are off for good. Compare the third lock with what its maker sees on glass.';
  }
  if (document.op === 'rotate-key') {
    return 'Everything new is sealed to this key, and everything stored is sealed anew to it inside the guards. When nothing is left under the old key, the old key is destroyed. Sign only if you know who asked and where the new key lives.';
  }
  if (document.op === 'hydrate') return hydrateEffect(document);
  if (document.op === 'export') return exportEffect(document);
  if (document.op === 'leave') {
    return 'Their name, number and e-mail address become unreadable for everybody, in all copies and backups, for ever.';
  }
  return 'What was cut off to contain an attack works again. Sign only if you know that the cause is gone.';
}

function Particulars({ document, organisation }: { document: Approvable; organisation: string }) {
  return (
    <dl className="facts">
      <dt>Asked by</dt>
      <dd className="mono">{document.requester}</dd>
      <dt>Because</dt>
      <dd>“{document.purpose}”</dd>
      {document.op === 'command' ? (
        <>
          <dt>Devices ({document.commands.length})</dt>
          <dd>
            <ul className="handles mono">
              {document.commands.map((command) => (
                <li key={command.uuid}>{command.device}</li>
              ))}
            </ul>
          </dd>
        </>
      ) : null}
      {document.op === 'declare' ? (
        <>
          <dt>Declarations ({document.declarations.length})</dt>
          <dd>
            <ul className="mono">
              {document.declarations.map(({ identifier }) => (
                <li key={identifier}>{identifier}</li>
              ))}
            </ul>
          </dd>
          <dt>Devices{document.devices === EVERY_DEVICE ? '' : ` (${document.devices.length})`}</dt>
          <dd>
            {document.devices === EVERY_DEVICE ? (
              'Every device, those that come later too'
            ) : (
              <ul className="handles mono">
                {document.devices.map((handle) => (
                  <li key={handle}>{handle}</li>
                ))}
              </ul>
            )}
          </dd>
          <dt>Devices keep it until</dt>
          <dd>{utc(document.until)}</dd>
        </>
      ) : null}
      {document.op === 'notice' ? <NoticeParticulars document={document} organisation={organisation} /> : null}
      {document.op === 'change' ? (
        <>
          <dt>Of</dt>
          <dd className="mono">{document.subject}</dd>
        </>
      ) : null}
      {document.op === 'leave' ? (
        <>
          <dt>People ({document.subjects.length})</dt>
          <dd>
            <ul className="handles mono">
              {document.subjects.map((handle) => (
                <li key={handle}>{handle}</li>
              ))}
            </ul>
          </dd>
        </>
      ) : null}
      {document.op === 'invite' ? (
        <>
          <dt>Role</dt>
          <dd>{document.role}</dd>
        </>
      ) : null}
      {document.op === 'roster' ? <RosterParticulars document={document} /> : null}
      {document.op === 'export' ? <ExportParticulars document={document} /> : null}
      {document.op === 'rotate-key' ? (
        <>
          <dt>New public key</dt>
          <dd className="mono">{document.key}</dd>
          <dt>In place of</dt>
          <dd className="mono">{document.previous}</dd>
          {document.third === undefined ? null : (
            <>
              <dt>Third lock</dt>
              <dd className="mono">{document.third}</dd>
            </>
          )}
        </>
      ) : null}
      <dt>Sign before</dt>
      <dd>
        {utc(document.notAfter)} (<When at={document.notAfter} />)
      </dd>
    </dl>
  );
}

function Signatures({ view }: { view: ApprovalView }) {
  return (
    <div className="stack tight">
      <h2>
        {view.signatures.length} of {view.needs} signatures
      </h2>
      <ul>
        {view.signatures.map((signature) => (
          <li key={signature.admin}>
            <span className="chip good">signed</span> <span className="mono">{signature.admin}</span>{' '}
            <When at={signature.at} />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Shows exactly what is signed, as this origin read it, and takes one signature. */
export function Approve({ id }: { id: string }) {
  const [view, setView] = useState<ApprovalView>();
  const [who, setWho] = useState(known);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const [error, setError] = useState<Error>();
  const load = useCallback(() => approval(id).then(setView, setError), [id]);
  useEffect(() => {
    void load();
  }, [load]);

  const checked = useChecked(view);

  if (view === undefined) {
    return (
      <Card title="Approval">
        {error === undefined ? <p role="status">Reading the document</p> : <Trouble error={error} />}
      </Card>
    );
  }
  const { document } = view;
  const own = who?.admin === document.requester;
  const already = view.signatures.some((signature) => signature.admin === who?.admin);

  async function sign() {
    setBusy(true);
    setError(undefined);
    try {
      const signer = who ?? (await identify());
      setWho(signer);
      const { assertion } = await touch(document, signer.credential);
      await signApproval(id, assertion);
      setDone(true);
      await load();
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(false);
    }
  }

  const open = view.state === 'open' && document.notAfter > Date.now();
  return (
    <Card title={heading(document)}>
      <p className={document.op === 'command' && DESTROYING.has(document.verb) ? 'note bad' : 'note warn'}>
        {effect(document)}
      </p>
      <Particulars document={document} organisation={view.organisation} />
      <Contents view={view} checked={checked} />
      <Signatures view={view} />
      <div role="status">
        {done ? (
          <p className="note good">
            Signed.{' '}
            {view.signatures.length < view.needs
              ? 'It still waits for another person. You can close this tab.'
              : 'All signatures are there; the guards check them and then it runs. You can close this tab.'}
          </p>
        ) : null}
      </div>
      {!open && !done ? (
        <p className="note">
          This approval is {view.state === 'open' ? 'past its time' : view.state}. Nothing can be signed any more.
        </p>
      ) : null}
      {open && !done ? (
        <div className="stack">
          {own ? (
            <p className="note warn">
              You asked for this yourself. Your signature counts as one of the {view.needs}; another person must give
              the other.
            </p>
          ) : null}
          {already ? <p className="note">You have signed this already.</p> : null}
          <Signer who={who} onForget={() => setWho(undefined)} />
          <Trouble error={error} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={busy || already || checked === 'false' || checked === 'checking'}
              onClick={sign}
            >
              Touch and sign
            </button>
            <span role="status">{busy ? 'Touch your security key' : ''}</span>
          </div>
          <p className="quiet small">To refuse, close this tab. Nothing runs without {view.needs} people.</p>
        </div>
      ) : null}
    </Card>
  );
}
