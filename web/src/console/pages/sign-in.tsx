import type { Problem } from '../../shared/problem.ts';
import { useAct } from '../data.ts';
import { Refused } from '../parts.tsx';
import { leaveToSignIn } from '../session.tsx';

export function SignInPage({ problem }: { problem: Problem | undefined }) {
  const leave = useAct(leaveToSignIn);
  return (
    <main className="gate stack">
      <img src="/icon.svg" alt="" width="40" height="40" />
      <h1>Bartizan</h1>
      <p>Staff phones by handle. Names and numbers are never on these pages.</p>
      <Refused problem={leave.problem ?? problem} />
      <div>
        <button type="button" className="primary" disabled={leave.busy} onClick={() => leave.run()}>
          Sign in with a passkey
        </button>
      </div>
      <p className="quiet small">
        You go to glass, touch your security key, and come back. No passkey yet? Open the one-time link that you were
        given.
      </p>
    </main>
  );
}
