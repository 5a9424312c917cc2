import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { Chip, Loaded, or, Refused, type Tone } from '../parts.tsx';
import { useSession } from '../session.tsx';
import { ExpectSerial } from './enrolment-identity.tsx';

interface Attested {
  readonly id: string;
  readonly via: 'acme' | 'device-information';
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
  readonly again: {
    readonly state: 'idle' | 'asked' | 'answered';
    readonly nextAt: string | null;
    readonly result: string | null;
    readonly reason: string | null;
    readonly checkedAt: string | null;
    readonly attestation: string | null;
  } | null;
}

const RESULTS: Readonly<Record<string, readonly [Tone, string]>> = {
  fresh: ['good', 'attested anew'],
  cached: ['info', 'gave the attestation from before'],
  none: ['warn', 'gave none'],
  refused: ['bad', 'not believed'],
  silent: ['quiet', 'did not answer'],
};

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

function Facts({ attested }: { attested: Attested }) {
  return (
    <dl className="facts">
      <dt>Attested serial</dt>
      <dd className="mono">{or(attested.serial)}</dd>
      <dt>Attested UDID</dt>
      <dd className="mono wrap-anywhere">{or(attested.udid)}</dd>
      {Object.entries(attested.facts).map(([key, value]) => (
        <div key={key} className="fact-pair">
          <dt>{WORDS[key] ?? key}</dt>
          <dd>{value}</dd>
        </div>
      ))}
      <dt>Root</dt>
      <dd>
        {attested.rootName} <span className="mono small wrap-anywhere">{attested.rootSha256.slice(0, 16)}…</span>
      </dd>
    </dl>
  );
}

/** What came of asking again, with the facts of then. */
function Again({ again, latest }: { again: Identity['again']; latest: Attested | undefined }) {
  if (again === null) return null;
  const [tone, words] = RESULTS[again.result ?? ''] ?? ['quiet', 'not answered yet'];
  return (
    <>
      <h3>Asked again</h3>
      <p className="row">
        <Chip tone={again.state === 'idle' ? tone : 'info'}>{again.state === 'idle' ? words : 'being asked'}</Chip>
        {again.checkedAt === null ? null : <When at={again.checkedAt} />}
      </p>
      {again.reason === null ? null : <p className="small">{again.reason}</p>}
      {again.nextAt === null ? null : (
        <p className="small quiet">
          Next <When at={again.nextAt} />
        </p>
      )}
      {latest === undefined ? null : (
        <>
          <p className="small">
            Vouched for <When at={latest.attestedAt} />
          </p>
          <Facts attested={latest} />
        </>
      )}
    </>
  );
}

/** How the device got its certificate and what that proves. */
export function DeviceIdentity({ handle, offered }: { handle: string; offered: boolean }) {
  const answer = useAnswer(`identity:${handle}`, (signal) =>
    call<Identity>(`/devices/${encodeURIComponent(handle)}/identity`, { signal: signal ?? null }),
  );
  const { role } = useSession();
  const mayAsk = role === 'administrator' || role === 'analyst';
  const ask = useAct(async () => {
    await send<void>('POST', `/devices/${encodeURIComponent(handle)}/attestation`, {});
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Identity</h2>
      <Loaded answer={answer}>
        {({ kind, attestations, again }) => {
          if (kind === null)
            return (
              <>
                <p className="quiet">No certificate yet, or one from before identities were noted.</p>
                {offered && role === 'administrator' ? <ExpectSerial handle={handle} /> : null}
              </>
            );
          const [tone, name, meaning] = KINDS[kind];
          const current = attestations.find((one) => one.current);
          return (
            <>
              <p className="row">
                <Chip tone={tone}>{name}</Chip>
                {current === undefined ? null : <When at={current.attestedAt} />}
              </p>
              <p className="small">{meaning}</p>
              {current === undefined ? null : <Facts attested={current} />}
              <Again again={again} latest={attestations.find((one) => one.id === again?.attestation)} />
              {mayAsk && again?.state !== 'asked' ? (
                <div className="row">
                  <button type="button" disabled={ask.busy} onClick={() => ask.run()}>
                    Ask for an attestation now
                  </button>
                </div>
              ) : null}
              <Refused problem={ask.problem} />
            </>
          );
        }}
      </Loaded>
    </section>
  );
}
