import { type FormEvent, type ReactNode, useState } from 'react';
import type { Field, Grant } from '../../../src/seal/messages.ts';
import { Signer, Trouble } from './parts.tsx';
import { identify, type Known, known } from './passkey.ts';

/** A reveal grant as guards take it: five minutes, one field, a purpose. */
export function newGrant(
  given: Pick<Grant, 'admin' | 'purpose' | 'browserKey'> & { field: Field; subjects: readonly string[] },
): Grant {
  const { admin, field, subjects, purpose, browserKey } = given;
  const id = crypto.randomUUID();
  return { v: 1, op: 'reveal', id, admin, field, subjects, purpose, notAfter: Date.now() + 5 * 60_000, browserKey };
}

interface Given {
  /** What is asked, above the field. */
  readonly question: ReactNode;
  /** Who may read the answer one day. */
  readonly reader: string;
  readonly button: string;
  readonly purpose: string;
  readonly onPurpose: (purpose: string) => void;
  /** What is done once it is known who signs; `say` tells how far it is. */
  readonly work: (signer: Known, purpose: string, say: (busy: string) => void) => Promise<void>;
  readonly children?: ReactNode;
}

/** Why, then the touch: the form by which every grant is made. */
export function TouchForm({ question, reader, button, purpose, onPurpose, work, children }: Given) {
  const [who, setWho] = useState(known);
  const [short, setShort] = useState(false);
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();

  async function submit(event: FormEvent) {
    event.preventDefault();
    setError(undefined);
    const why = purpose.trim();
    if (why.length < 5 || why.length > 200) return setShort(true);
    setShort(false);
    try {
      setBusy('Touch your security key');
      const signer = who ?? (await identify());
      setWho(signer);
      await work(signer, why, setBusy);
    } catch (caught) {
      setError(caught as Error);
    } finally {
      setBusy(undefined);
    }
  }

  return (
    <form onSubmit={submit} className="stack">
      <div className="field">
        <label htmlFor="purpose">
          {question} <span className="hint">5 to 200 characters, without names or numbers</span>
        </label>
        <textarea
          id="purpose"
          maxLength={200}
          value={purpose}
          aria-invalid={short}
          aria-describedby="purpose-error"
          onChange={(event) => {
            onPurpose(event.target.value);
            setShort(false);
          }}
        />
        <span id="purpose-error" className="field-error">
          {short ? `Write at least 5 characters: ${reader} may read this.` : ''}
        </span>
      </div>
      <Signer who={who} onForget={() => setWho(undefined)} />
      <Trouble error={error} />
      <div className="row">
        <button type="submit" className="primary" disabled={busy !== undefined}>
          {button}
        </button>
        <span role="status">{busy}</span>
      </div>
      {children}
    </form>
  );
}
