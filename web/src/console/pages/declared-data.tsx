import { useState } from 'react';
import { useAct } from '../data.ts';
import { Dialog, Refused } from '../parts.tsx';
import { declaredApi, type StoredData } from './declared-api.ts';

async function base64(file: File): Promise<string> {
  let binary = '';
  for (const byte of new Uint8Array(await file.arrayBuffer())) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Keeps a file that an asset or a legacy profile declaration points to, and says how to point to it. */
export function StoreData({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [contentType, setContentType] = useState('application/octet-stream');
  const [content, setContent] = useState('');
  const [stored, setStored] = useState<StoredData>();
  const act = useAct(async () => setStored(await declaredApi.storeData({ name: name.trim(), contentType, content })));
  const reference =
    stored === undefined
      ? ''
      : JSON.stringify({ Reference: { ContentType: contentType, DataURL: stored.url, Size: stored.size } }, null, 2);
  return (
    <Dialog title="Store data for an asset" onClose={onClose}>
      {stored === undefined ? (
        <>
          <p className="quiet">
            Devices fetch it from here with their certificate. It is kept in clear: no names, numbers or addresses.
          </p>
          <div className="field">
            <label htmlFor="data-file">File</label>
            <input
              id="data-file"
              type="file"
              onChange={(event) => {
                const file = event.target.files?.[0];
                if (file === undefined) return;
                setName(name || file.name.slice(0, 80));
                if (/^[a-z0-9.+-]+\/[a-z0-9.+-]+$/.test(file.type)) setContentType(file.type);
                void base64(file).then(setContent);
              }}
            />
          </div>
          <div className="field">
            <label htmlFor="data-name">Name</label>
            <input id="data-name" maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />
          </div>
          <div className="field">
            <label htmlFor="data-type">Content type</label>
            <input
              id="data-type"
              className="mono"
              spellCheck={false}
              value={contentType}
              onChange={(event) => setContentType(event.target.value)}
            />
          </div>
          <Refused problem={act.problem} />
          <div className="row">
            <button
              type="button"
              className="primary"
              disabled={act.busy || content === '' || name.trim() === ''}
              onClick={() => void act.run()}
            >
              Store it
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </>
      ) : (
        <div className="stack" role="status">
          <p className="note good">
            <strong>Stored</strong>, {stored.size} bytes. Its SHA-256 is{' '}
            <span className="mono small wrap-anywhere">{stored.sha256}</span>.
          </p>
          <p>An asset points to it so:</p>
          <pre className="pre">{reference}</pre>
          <div>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
