import { useState } from 'react';
import { useAct, useAnswer } from '../data.ts';
import { Dialog, Refused } from '../parts.tsx';
import { type Checked, type Declaration, declaredApi } from './declared-api.ts';

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

/** The keys that a type takes, the needed ones first. */
function Keys({ type }: { type: string }) {
  const types = useAnswer('declaration-types', declaredApi.types).data?.items ?? [];
  const known = types.find((one) => one.type === type);
  return (
    <>
      <datalist id="declaration-types">
        {types.map((one) => (
          <option key={one.type} value={one.type} />
        ))}
      </datalist>
      <p className="small quiet wrap-anywhere" id="declaration-keys">
        {known === undefined ? (
          types.length === 0 ? null : (
            'This type is not known here: its keys cannot be checked.'
          )
        ) : (
          <>
            Since iOS {known.since}. Keys:{' '}
            {known.keys.map(({ name, needed }) => (needed ? `${name} (needed)` : name)).join(', ') || 'none'}.
          </>
        )}
      </p>
    </>
  );
}

/** Writes a declaration or a new version of one: checked against Apple's keys before it is stored. */
export function Editor({
  of,
  onClose,
  onDone,
}: {
  of: Declaration | undefined;
  onClose: () => void;
  onDone: () => void;
}) {
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
          list="declaration-types"
          autoComplete="off"
          spellCheck={false}
          aria-describedby="declaration-keys"
          value={type}
          onChange={(event) => setType(event.target.value)}
        />
        <Keys type={type} />
      </div>
      <div className="field">
        <label htmlFor="declaration-payload">
          Payload <span className="hint">JSON; no names, numbers or addresses of people</span>
        </label>
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
