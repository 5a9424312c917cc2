import { When } from '../../shared/time.tsx';
import { call } from '../client.ts';
import { useAnswer } from '../data.ts';
import { Chip, Loaded, or, type Tone } from '../parts.tsx';

interface Attested {
  readonly id: string;
  readonly current: boolean;
  readonly serial: string | null;
  readonly udid: string | null;
  readonly facts: Readonly<Record<string, string>>;
  readonly rootName: string;
  readonly rootSha256: string;
  readonly attestedAt: string;
}

interface Identity {
  readonly kind: 'scep' | 'acme' | 'acme-attested' | null;
  readonly attestations: readonly Attested[];
}

const KINDS: Readonly<Record<NonNullable<Identity['kind']>, readonly [Tone, string, string]>> = {
  scep: [
    'quiet',
    'SCEP',
    'Whoever held the enrolment link made this key, in software. Nothing shows which device has it.',
  ],
  acme: [
    'info',
    'ACME, not attested',
    'Whoever held the enrolment link made this key. The profile asked for hardware; nobody vouched for it.',
  ],
  'acme-attested': [
    'good',
    'attested',
    'The maker’s servers vouched that this key sits in the hardware of the device with this serial number. It does not show who holds the device, or that its system is sound today.',
  ],
};

const WORDS: Readonly<Record<string, string>> = {
  osVersion: 'System then',
  sepOsVersion: 'Secure Enclave system then',
  llbVersion: 'Boot loader then',
  softwareUpdateId: 'Model for updates',
  secureBoot: 'Secure boot',
  sipStatus: 'System integrity protection',
  kextsAllowed: 'Kernel extensions',
};

/** How the device got its certificate and what that proves. */
export function DeviceIdentity({ handle }: { handle: string }) {
  const answer = useAnswer(`identity:${handle}`, (signal) =>
    call<Identity>(`/devices/${encodeURIComponent(handle)}/identity`, { signal: signal ?? null }),
  );
  return (
    <section className="section">
      <h2>Identity</h2>
      <Loaded answer={answer}>
        {({ kind, attestations }) => {
          if (kind === null)
            return <p className="quiet">No certificate yet, or one from before identities were noted.</p>;
          const [tone, name, meaning] = KINDS[kind];
          const current = attestations.find((one) => one.current);
          return (
            <>
              <p className="row">
                <Chip tone={tone}>{name}</Chip>
                {current === undefined ? null : <When at={current.attestedAt} />}
              </p>
              <p className="small">{meaning}</p>
              {current === undefined ? null : (
                <dl className="facts">
                  <dt>Attested serial</dt>
                  <dd className="mono">{or(current.serial)}</dd>
                  <dt>Attested UDID</dt>
                  <dd className="mono wrap-anywhere">{or(current.udid)}</dd>
                  {Object.entries(current.facts).map(([key, value]) => (
                    <div key={key} className="fact-pair">
                      <dt>{WORDS[key] ?? key}</dt>
                      <dd>{value}</dd>
                    </div>
                  ))}
                  <dt>Root</dt>
                  <dd>
                    {current.rootName}{' '}
                    <span className="mono small wrap-anywhere">{current.rootSha256.slice(0, 16)}…</span>
                  </dd>
                </dl>
              )}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}
