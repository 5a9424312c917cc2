import { useState } from 'react';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { Loaded, Refused } from '../parts.tsx';
import { useMayChange } from '../session.tsx';

interface Policy {
  readonly identity: 'scep' | 'acme' | 'acme-attested';
  readonly roots: readonly { readonly name: string; readonly sha256: string; readonly notAfter: string }[];
  readonly reattestDays: number;
  /** Whose devices let Managed Apple Accounts sign in on managed devices only. */
  readonly serviceTokens: 'none' | 'organisation' | 'all';
}

const LEAST: Readonly<Record<Policy['identity'], string>> = {
  scep: 'a key made in software (SCEP)',
  acme: 'a key in hardware, vouched for by nobody (ACME)',
  'acme-attested': 'a key that the maker’s servers vouch for (ACME with attestation)',
};
const OFTEN = [0, 7, 14, 30, 90, 180, 365] as const;
const TOKENS: Readonly<Record<Policy['serviceTokens'], string>> = {
  none: 'no device',
  organisation: 'the organisation’s devices',
  all: 'every managed device',
};
const words = (days: number): string => (days === 0 ? 'never' : `every ${days} days`);

/** What an enrolment asks for at least, whose word counts, and how often devices are asked again. */
export function Attestation() {
  const answer = useAnswer('identity-policy', (signal) => call<Policy>('/identity-policy', { signal: signal ?? null }));
  const mayChange = useMayChange();
  const set = useAct(async (days: number) => {
    await send<void>('POST', '/identity-policy/reattestation', { days });
    answer.reload();
  });
  const allow = useAct(async (whose: string) => {
    await send<void>('POST', '/identity-policy/service-tokens', { allow: whose });
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Attestation and sign-in</h2>
      <Loaded answer={answer}>
        {({ identity, roots, reattestDays, serviceTokens }) => (
          <dl className="facts">
            <dt>At least</dt>
            <dd>{LEAST[identity]}</dd>
            <dt>Roots</dt>
            <dd>
              {roots.length === 0
                ? 'none: nothing can be attested. The operator names them on the server.'
                : roots.map(({ name, sha256 }) => (
                    <p key={sha256}>
                      {name} <span className="mono small">{sha256.slice(0, 16)}…</span>
                    </p>
                  ))}
            </dd>
            <dt>Asked again</dt>
            <dd>
              {mayChange ? (
                <select
                  aria-label="How often devices are asked for a new attestation"
                  className="short"
                  value={reattestDays}
                  disabled={set.busy}
                  onChange={(event) => void set.run(Number(event.target.value))}
                >
                  {[...new Set([...OFTEN, reattestDays])]
                    .sort((a, b) => a - b)
                    .map((days) => (
                      <option key={days} value={days}>
                        {words(days)}
                      </option>
                    ))}
                </select>
              ) : (
                words(reattestDays)
              )}
            </dd>
            <dt>Sign-in tokens</dt>
            <dd>
              {mayChange ? (
                <select
                  aria-label="Whose devices get tokens for Managed Apple Accounts"
                  className="short"
                  value={serviceTokens}
                  disabled={allow.busy}
                  onChange={(event) => void allow.run(event.target.value)}
                >
                  {Object.entries(TOKENS).map(([whose, label]) => (
                    <option key={whose} value={whose}>
                      {label}
                    </option>
                  ))}
                </select>
              ) : (
                TOKENS[serviceTokens]
              )}
              <p className="small quiet">With one, a Managed Apple Account signs in on managed devices only.</p>
            </dd>
          </dl>
        )}
      </Loaded>
      <Refused problem={set.problem ?? allow.problem} />
    </section>
  );
}

/** Names the one device that an unopened link is for. */
export function ExpectSerial({ handle }: { handle: string }) {
  const [serial, setSerial] = useState('');
  const [named, setNamed] = useState<string>();
  const name = useAct(async () => {
    await send<void>('POST', `/devices/${encodeURIComponent(handle)}/expected-serial`, { serial });
    setNamed(serial);
    setSerial('');
  });
  return (
    <form
      className="stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        void name.run();
      }}
    >
      <div className="field">
        <label htmlFor="expected-serial">
          Its serial number <span className="hint">An attestation of another device is then refused</span>
        </label>
        <div className="row">
          <input
            id="expected-serial"
            className="mono short"
            required
            pattern="[A-Z0-9]{8,20}"
            title="8 to 20 capital letters and digits"
            value={serial}
            onChange={(event) => setSerial(event.target.value.toUpperCase())}
          />
          <button type="submit" disabled={name.busy}>
            Expect it
          </button>
        </div>
      </div>
      <p role="status">{named === undefined ? null : `The link is for ${named} and no other device.`}</p>
      <Refused problem={name.problem} />
    </form>
  );
}
