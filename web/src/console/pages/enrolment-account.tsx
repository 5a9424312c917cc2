import { When } from '../../shared/time.tsx';
import { call } from '../client.ts';
import { useAnswer } from '../data.ts';
import { Loaded } from '../parts.tsx';

interface Accounts {
  readonly people: number;
  readonly devices: number;
  readonly lastAt: string | null;
}

/** Holders' own devices that came by sign-in; who signed in is not told to anyone. */
export function ByAccount() {
  const answer = useAnswer('accounts', (signal) => call<Accounts>('/enrolments/accounts', { signal: signal ?? null }));
  return (
    <section className="section">
      <h2>Holders’ own devices, by account</h2>
      <p className="quiet">
        A holder enters the work account in Settings and signs in at your identity provider; the operator sets that up
        with “bartizan account”. The account’s name is kept nowhere. Such devices are personal: never erased.
      </p>
      <Loaded answer={answer}>
        {({ people, devices, lastAt }) => (
          <dl className="facts">
            <dt>People who signed in</dt>
            <dd>{people}</dd>
            <dt>Their devices now</dt>
            <dd>{devices}</dd>
            <dt>Last sign-in</dt>
            <dd>
              <When at={lastAt} none="nobody yet" />
            </dd>
          </dl>
        )}
      </Loaded>
    </section>
  );
}
