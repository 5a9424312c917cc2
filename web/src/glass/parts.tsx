import type { ReactNode } from 'react';
import { forget, type Known } from './passkey.ts';

/** One step of glass: a heading, what is asked, and what it leads to. */
export function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main id="main" className="card stack" tabIndex={-1}>
      <h1>{title}</h1>
      {children}
    </main>
  );
}

export function Trouble({ error }: { error: Error | undefined }) {
  return (
    <div role="alert">
      {error === undefined ? null : (
        <div className="note bad">
          <strong>That did not work.</strong>
          <p>{error.message}</p>
        </div>
      )}
    </div>
  );
}

/** Says with whose passkey the next touch is made, and lets another person take over. */
export function Signer({ who, onForget }: { who: Known | undefined; onForget: () => void }) {
  if (who === undefined) {
    return (
      <p className="quiet">
        This browser does not know you yet. You will be asked for your passkey twice, once to learn who you are.
      </p>
    );
  }
  return (
    <p>
      You sign as <strong className="mono">{who.admin}</strong>.{' '}
      <button
        type="button"
        className="plain"
        onClick={() => {
          forget();
          onForget();
        }}
      >
        Not you?
      </button>
    </p>
  );
}
