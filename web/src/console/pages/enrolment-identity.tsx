import { useAct, useAnswer } from '../data.ts';
import { Loaded, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { enrolmentApi, type ServiceTokens } from './enrolment-api.ts';

const DAYS = [0, 7, 14, 30, 90, 365] as const;
const WHOSE: readonly (readonly [ServiceTokens, string])[] = [
  ['none', 'No device'],
  ['organisation', 'The organisation’s devices'],
  ['all', 'Every managed device'],
];
const KINDS = { scep: 'SCEP', acme: 'ACME', 'acme-attested': 'ACME with attestation' } as const;

/** What devices must prove, how often they prove it again, and what we prove of them to Apple. */
export function IdentityPolicy() {
  const answer = useAnswer('identity-policy', (signal) => enrolmentApi.policy(signal));
  const mayChange = useSession().role === 'administrator';
  const change = useAct(async (path: string, body: object) => {
    await enrolmentApi.changePolicy(path, body);
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Identity</h2>
      <Loaded answer={answer}>
        {({ identity, roots, reattestDays, serviceTokens }) => (
          <>
            <dl className="facts">
              <dt>Least that a device brings</dt>
              <dd>{KINDS[identity]}</dd>
              <dt>Attestation roots</dt>
              <dd>
                {roots.length === 0 ? 'none: no attestation is believed' : roots.map((one) => one.name).join(', ')}
              </dd>
            </dl>
            <div className="toolbar">
              <label>
                Ask devices for a new attestation{' '}
                <select
                  value={reattestDays}
                  disabled={!mayChange || change.busy || roots.length === 0}
                  onChange={(event) => void change.run('reattestation', { days: Number(event.target.value) })}
                >
                  {[...new Set([...DAYS, reattestDays])].map((days) => (
                    <option key={days} value={days}>
                      {days === 0 ? 'never' : `every ${days} days`}
                    </option>
                  ))}
                </select>
              </label>
              <label>
                Tokens for Managed Apple Accounts{' '}
                <select
                  value={serviceTokens}
                  disabled={!mayChange || change.busy}
                  onChange={(event) => void change.run('service-tokens', { allow: event.target.value })}
                >
                  {WHOSE.map(([allow, words]) => (
                    <option key={allow} value={allow}>
                      {words}
                    </option>
                  ))}
                </select>
              </label>
            </div>
            <p className="small quiet">
              Apple makes a device a fresh attestation once in seven days at most. A token shows Apple’s identity
              service, when an account signs in, that the device is managed here; it needs the server key of device
              assignment.
            </p>
            <Refused problem={change.problem} />
          </>
        )}
      </Loaded>
    </section>
  );
}
