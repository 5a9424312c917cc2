import { useState } from 'react';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { type Checked, type Declaration, declaredApi } from './declared-api.ts';
import { DeclarationSets } from './declared-sets.tsx';

const devices = (count: number) => `${count} ${count === 1 ? 'device' : 'devices'}`;

/** What storing it would do, in words; the counts are exact. */
function reach({ devices: atOnce, afterApproval, tooOld, since, same, guarded }: Checked): string {
  const old =
    tooOld === 0
      ? ''
      : ` ${devices(tooOld)} of these ${tooOld === 1 ? 'is' : 'are'} older than ${since} and cannot apply it.`;
  if (same) return 'It is valid, and says what it says already: no device would change.';
  if (atOnce + afterApproval === 0) return 'It is valid. No device has it in a set yet, so none would change.';
  if (!guarded) return `It is valid. ${devices(atOnce)} would change.${old}`;
  const first =
    atOnce === 0
      ? 'No device would change'
      : `Two people agreed to it before for ${devices(atOnce)}, which would change`;
  const then = afterApproval === 0 ? '' : `; ${devices(afterApproval)} would once two people agree`;
  return `It is valid. ${first}${then}.${old}`;
}

const WHY = {
  dangerous: 'It can turn a device against its holder: two people must sign before any device gets it.',
  unchecked: 'Not all of it is known here: two people must sign before any device gets it.',
} as const;

function Reach({ found }: { found: Checked }) {
  return (
    <>
      <p>{reach(found)}</p>
      {found.why.map((why) => (
        <p key={why} className="quiet small">
          {WHY[why]}
        </p>
      ))}
    </>
  );
}

function Editor({ of, onClose, onDone }: { of: Declaration | undefined; onClose: () => void; onDone: () => void }) {
  const before = useAnswer(`declaration:${of?.id ?? 'new'}`, async (signal) =>
    of === undefined ? undefined : declaredApi.one(of.id, signal),
  ).data;
  const [identifier, setIdentifier] = useState(of?.identifier ?? '');
  const [type, setType] = useState(of?.type ?? 'com.apple.configuration.passcode.settings');
  const [written, setWritten] = useState<string>();
  const [unchecked, setUnchecked] = useState(false);
  const [found, setFound] = useState<Checked>();
  const [broken, setBroken] = useState('');
  const text = written ?? JSON.stringify(before?.versions[0]?.payload ?? {}, null, 2);
  const check = async () => {
    let payload: object;
    setFound(undefined);
    try {
      payload = JSON.parse(text) as object;
      setBroken('');
    } catch (error) {
      setBroken(error instanceof Error ? error.message : 'This is not JSON.');
      return;
    }
    const body = { identifier, type, payload, unchecked };
    const checked = await declaredApi.check(body);
    setFound(checked);
    return checked.problems.length === 0 ? body : undefined;
  };
  const look = useAct(check);
  const save = useAct(async () => {
    const body = await check();
    if (body === undefined) return;
    await declaredApi.store(body);
    onDone();
    onClose();
  });
  const problems = found?.problems ?? [];
  return (
    <Dialog title={of === undefined ? 'New declaration' : `Change ${of.identifier}`} onClose={onClose}>
      <div className="field">
        <label htmlFor="declaration-identifier">Identifier</label>
        <input
          id="declaration-identifier"
          className="mono"
          readOnly={of !== undefined}
          value={identifier}
          onChange={(event) => setIdentifier(event.target.value)}
        />
      </div>
      <div className="field">
        <label htmlFor="declaration-type">Type</label>
        <input
          id="declaration-type"
          className="mono"
          readOnly={of !== undefined}
          value={type}
          onChange={(event) => setType(event.target.value)}
        />
      </div>
      <div className="field">
        <label htmlFor="declaration-payload">Payload</label>
        <textarea
          id="declaration-payload"
          className="mono"
          rows={10}
          spellCheck={false}
          aria-invalid={broken !== '' || problems.length > 0}
          aria-describedby="declaration-problems"
          value={text}
          onChange={(event) => setWritten(event.target.value)}
        />
        <div id="declaration-problems" role="status">
          {broken === '' ? null : <p className="field-error">{broken}</p>}
          {problems.map(({ path, rule }) => (
            <p key={`${path} ${rule}`} className="field-error">
              <span className="mono">{path}</span> {rule}
            </p>
          ))}
          {found !== undefined && problems.length === 0 ? <Reach found={found} /> : null}
        </div>
      </div>
      <label className="row">
        <input type="checkbox" checked={unchecked} onChange={() => setUnchecked(!unchecked)} />
        Store types and keys that cannot be checked; devices get them only once two people signed
      </label>
      <Refused problem={save.problem ?? look.problem} />
      <div className="row">
        <button type="button" disabled={look.busy} onClick={() => void look.run()}>
          Check
        </button>
        <button type="button" className="primary" disabled={save.busy} onClick={() => void save.run()}>
          Store
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

export function Declarations() {
  const answer = useAnswer('declarations', declaredApi.list);
  const { role } = useSession();
  const mayChange = role === 'administrator';
  const [open, setOpen] = useState<Declaration | 'new'>();
  return (
    <Frame
      title="Declarations"
      aside={
        mayChange ? (
          <button type="button" className="primary" onClick={() => setOpen('new')}>
            New declaration
          </button>
        ) : undefined
      }
    >
      <p className="quiet">What devices shall be. They apply it by themselves and report how they stand.</p>
      <Loaded answer={answer}>
        {({ items }) => (
          <>
            {items.length === 0 ? <Empty title="Nothing is declared yet" /> : null}
            <ul>
              {items.map((one) => (
                <li key={one.id} className="row">
                  <span className="mono wrap-anywhere">{one.identifier}</span>
                  <Chip tone={one.state === 'current' ? 'good' : one.state === 'refused' ? 'bad' : 'info'}>
                    {one.state}
                  </Chip>
                  {one.guarded ? <Chip tone="warn">needs two people</Chip> : null}
                  <span className="quiet small">
                    version {one.version}, {one.devices} devices
                  </span>
                  {one.invalid > 0 ? <Chip tone="bad">{one.invalid} invalid</Chip> : null}
                  {one.inactive > 0 ? <Chip tone="quiet">{one.inactive} inactive</Chip> : null}
                  {mayChange && one.origin === 'administrator' ? (
                    <button type="button" className="plain" onClick={() => setOpen(one)}>
                      Change
                    </button>
                  ) : null}
                </li>
              ))}
            </ul>
            <DeclarationSets declarations={items} mayChange={mayChange} />
          </>
        )}
      </Loaded>
      {open === undefined ? null : (
        <Editor
          of={open === 'new' ? undefined : open}
          onClose={() => setOpen(undefined)}
          onDone={() => answer.reload()}
        />
      )}
    </Frame>
  );
}
