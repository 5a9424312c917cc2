import { type ReactNode, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, DeviceLink, Dialog, Loaded, Refused } from '../parts.tsx';
import { type Declaration, declaredApi } from './declared-api.ts';

/** What was written when and by whom, and the devices that have trouble with it. */
function Particulars({ id }: { id: string }) {
  const answer = useAnswer(`declaration:${id}`, (signal) => declaredApi.one(id, signal));
  return (
    <Loaded answer={answer}>
      {({ versions, trouble, type, sets }) => (
        <div className="stack tight">
          <p className="small wrap-anywhere">
            <span className="mono">{type}</span>, in{' '}
            {sets.length === 0 ? 'no set: it reaches no device' : sets.join(', ')}
          </p>
          <ul>
            {versions.map((one) => (
              <li key={one.version} className="small">
                Version {one.version}: {one.state.replaceAll('-', ' ')}, <When at={one.createdAt} /> by{' '}
                <span className="mono">{one.author}</span>
                {one.reason === null ? null : `: ${one.reason}`}
              </li>
            ))}
          </ul>
          <details>
            <summary>Its payload</summary>
            <pre className="pre">{JSON.stringify(versions[0]?.payload ?? {}, null, 2)}</pre>
          </details>
          {trouble.length === 0 ? null : (
            <ul>
              {trouble.map((one) => (
                <li key={one.device} className="row small">
                  <DeviceLink handle={one.device} />
                  <Chip tone={one.valid === 'invalid' ? 'bad' : 'quiet'}>
                    {one.valid === 'invalid' ? 'invalid' : 'inactive'}
                  </Chip>
                  {one.reasons.join(', ')}
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
    </Loaded>
  );
}

/** A declaration's row with what is behind it, changing it and taking it away. */
export function DeclarationMore(given: {
  one: Declaration;
  mayChange: boolean;
  onChange: () => void;
  onDone: () => void;
  children: ReactNode;
}) {
  const { one, mayChange, onChange, onDone } = given;
  const [open, setOpen] = useState(false);
  const [removing, setRemoving] = useState(false);
  const remove = useAct(async () => {
    await declaredApi.remove(one.id);
    setRemoving(false);
    onDone();
  });
  const ours = one.origin !== 'administrator';
  return (
    <>
      <div className="row">
        {given.children}
        <button type="button" className="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
          Particulars<span className="hidden-visually"> of {one.identifier}</span>
        </button>
        {mayChange && !ours ? (
          <button type="button" className="plain" onClick={onChange}>
            Change<span className="hidden-visually"> {one.identifier}</span>
          </button>
        ) : null}
        {mayChange && !ours ? (
          <button type="button" className="plain" onClick={() => setRemoving(true)}>
            Remove<span className="hidden-visually"> {one.identifier}</span>
          </button>
        ) : null}
      </div>
      {open ? <Particulars id={one.id} /> : null}
      {removing ? (
        <Dialog title={`Remove ${one.identifier}`} onClose={() => setRemoving(false)}>
          <p className="note warn">
            It leaves all sets, and {one.devices === 1 ? '1 device' : `${one.devices} devices`} that have it undo it at
            their next check-in. Its identifier cannot be used again.
          </p>
          <Refused problem={remove.problem} />
          <div className="row">
            <button type="button" className="danger" disabled={remove.busy} onClick={() => void remove.run()}>
              Remove it
            </button>
            <button type="button" onClick={() => setRemoving(false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}
