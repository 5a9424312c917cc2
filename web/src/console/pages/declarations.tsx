import { useState } from 'react';
import { useAnswer } from '../data.ts';
import { Chip, Empty, Frame, Loaded } from '../parts.tsx';
import { useMayChange } from '../session.tsx';
import { type Declaration, declaredApi } from './declared-api.ts';
import { StoreData } from './declared-data.tsx';
import { Editor } from './declared-editor.tsx';
import { DeclarationMore } from './declared-more.tsx';
import { DeclarationSets } from './declared-sets.tsx';

export function Declarations() {
  const answer = useAnswer('declarations', declaredApi.list);
  const mayChange = useMayChange();
  const [open, setOpen] = useState<Declaration | 'new'>();
  const [storing, setStoring] = useState(false);
  return (
    <Frame
      title="Declarations"
      aside={
        mayChange ? (
          <>
            <button type="button" onClick={() => setStoring(true)}>
              Store data
            </button>
            <button type="button" className="primary" onClick={() => setOpen('new')}>
              New declaration
            </button>
          </>
        ) : undefined
      }
    >
      <p className="quiet">What devices shall be. They apply it by themselves and report how they stand.</p>
      <Loaded answer={answer}>
        {({ items }) => (
          <>
            {items.length === 0 ? (
              <Empty title="Nothing is declared yet">
                Write a declaration, then put it into a set for some devices.
              </Empty>
            ) : null}
            <ul>
              {items.map((one) => (
                <li key={one.id} className="command">
                  <DeclarationMore one={one} mayChange={mayChange} onChange={() => setOpen(one)} onDone={answer.reload}>
                    <span className="mono wrap-anywhere">{one.identifier}</span>
                    <Chip tone={one.state === 'current' ? 'good' : one.state === 'refused' ? 'bad' : 'info'}>
                      {one.state}
                    </Chip>
                    {one.guarded ? <Chip tone="warn">needs two people</Chip> : null}
                    <span className="quiet small">
                      version {one.version}, {one.devices === 1 ? '1 device' : `${one.devices} devices`}
                    </span>
                    {one.invalid > 0 ? <Chip tone="bad">{one.invalid} invalid</Chip> : null}
                    {one.inactive > 0 ? <Chip tone="quiet">{one.inactive} inactive</Chip> : null}
                  </DeclarationMore>
                </li>
              ))}
            </ul>
            <DeclarationSets declarations={items} mayChange={mayChange} />
          </>
        )}
      </Loaded>
      {storing ? <StoreData onClose={() => setStoring(false)} /> : null}
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
