import { type FormEvent, useId, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, send } from '../client.ts';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { Chip, Dialog, Empty, Frame, GlassLink, Loaded, Refused, type Tone } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';

interface Version {
  readonly number: number;
  readonly source: string;
  readonly grade: string;
  readonly since: string;
}

interface Keys {
  readonly state: string;
  readonly current: Version | null;
  readonly old: Version | null;
  readonly staged: Version | null;
  readonly next: string | null;
  readonly left: number | null;
  readonly third: {
    readonly inForce: boolean;
    readonly proposed: { readonly key: string; readonly admin: string } | null;
    readonly passkeys: number;
  } | null;
}

const keys = (signal: AbortSignal) => call<Keys>('/keys', { signal });
const askRotation = (purpose: string, third: boolean) =>
  send<{ approval: string }>('POST', '/keys/rotations', { purpose, ...(third ? { third } : {}) });

const SOURCE: Readonly<Record<string, string>> = {
  file: 'a file of the sealer: whoever copies its disk has the key',
  credential: 'a systemd credential: worth what it is encrypted with, a TPM at best',
  pkcs11: 'a token that never lets it out',
  kms: 'an outside key service, asked at every start',
  quorum: 'shares that several people bring at every start',
};

const STATE: Readonly<Record<string, [Tone, string]>> = {
  open: ['good', 'loaded'],
  locked: ['bad', 'forgotten: the directory is locked'],
  'locked-at-boot': ['warn', 'not given to the sealer yet: nobody reads'],
  unreachable: ['bad', 'the sealer does not answer'],
};

function Row({ version, what, tone }: { version: Version; what: string; tone: Tone }) {
  return (
    <li className="approval">
      <div>
        <div className="row">
          <h2>Key {version.number}</h2>
          <Chip tone={tone}>{what}</Chip>
        </div>
        <p>
          <strong>Grade {version.grade}:</strong> {SOURCE[version.source] ?? version.source}
        </p>
        <p className="small quiet">
          since <When at={version.since} />
        </p>
      </div>
    </li>
  );
}

function AskRotation({ next, third, onClose }: { next: string; third: Keys['third']; onClose: () => void }) {
  const id = useId();
  const { glass } = useSession();
  const [purpose, setPurpose, clear] = useDraft('rotate-key');
  const [approval, setApproval] = useState<string>();
  const [withThird, setWithThird] = useState(false);
  const ask = useAct(async () => {
    const made = await askRotation(purpose.trim(), withThird);
    clear();
    setApproval(made.approval);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask.run();
  };
  return (
    <Dialog title="Change the organisation’s key" onClose={onClose}>
      {approval === undefined ? (
        <form className="stack" onSubmit={submit}>
          <p>
            The sealer makes the next key in {SOURCE[next] ?? next}. It is worth nothing until two people sign; it ends
            by itself after a day.
          </p>
          <div className="field">
            <label htmlFor={id}>
              Why? <span className="hint">5 to 200 characters</span>
            </label>
            <textarea
              id={id}
              required
              minLength={5}
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          {third?.proposed ? (
            <label>
              <input type="checkbox" checked={withThird} onChange={(event) => setWithThird(event.target.checked)} />{' '}
              With the third lock that {third.proposed.admin} made on glass. It is never taken off again.
            </label>
          ) : null}
          <Refused problem={ask.problem} />
          <div className="row">
            <button type="submit" className="primary" disabled={ask.busy}>
              Make the key and ask
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </form>
      ) : (
        <div className="stack" role="status">
          <p className="note warn">
            <strong>It waits for two people.</strong> The present key stays in force until both have signed.
          </p>
          <div className="row">
            <GlassLink glass={glass} task={`approve=${approval}`} primary>
              Review and sign
            </GlassLink>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

export function KeysPage() {
  const answer = useAnswer('keys', keys);
  const [asking, setAsking] = useState(false);
  const mayChange = useMayChange();
  const { glass } = useSession();
  const data = answer.data;
  return (
    <Frame
      title="Keys"
      aside={
        mayChange && data?.current != null && data.old === null ? (
          <button type="button" onClick={() => setAsking(true)}>
            Change the key
          </button>
        ) : null
      }
    >
      <p className="quiet">
        Names, numbers and addresses are sealed to the organisation’s key. It opens nothing alone: each reading also
        needs the ledger, its entry in the log and a touch.
      </p>
      <Loaded answer={answer}>
        {({ state, current, old, staged, left, third }) => (
          <>
            <p>
              <Chip tone={STATE[state]?.[0] ?? 'quiet'}>{STATE[state]?.[1] ?? state}</Chip>
            </p>
            {current === null ? (
              <Empty title="Nothing is known of the keys">The sealer’s log file says why it does not answer.</Empty>
            ) : (
              <ul>
                {staged === null ? null : <Row version={staged} what="staged, worth nothing yet" tone="info" />}
                <Row version={current} what="in force" tone="good" />
                {old === null ? null : <Row version={old} what="old, being replaced" tone="warn" />}
              </ul>
            )}
            {state === 'locked-at-boot' && current?.source === 'quorum' ? (
              <div className="note warn">
                <p>People bring their shares on glass, or on the server with bartizan unseal.</p>
                <GlassLink glass={glass} task="unseal" primary>
                  Bring a share
                </GlassLink>
              </div>
            ) : null}
            {third === null ? null : (
              <p className="row">
                <Chip tone={third.inForce ? 'good' : 'quiet'}>
                  {third.inForce ? 'third lock in force' : 'no third lock'}
                </Chip>
                <span>
                  {third.inForce
                    ? 'Only passkeys open names, numbers and addresses; no server does.'
                    : 'Whoever owns both guards and the database reads everything.'}
                </span>
                <GlassLink glass={glass} task="third-lock">
                  Third lock
                </GlassLink>
              </p>
            )}
            {old === null || left === null ? null : (
              <p role="status" className="note">
                {left === 0
                  ? 'Every row is under the new key. The old one is destroyed when writers have had ten minutes to follow.'
                  : `${left} ${left === 1 ? 'row is' : 'rows are'} not known to be under the new key yet.`}
              </p>
            )}
          </>
        )}
      </Loaded>
      {asking ? (
        <AskRotation
          next={data?.next ?? 'file'}
          third={data?.third ?? null}
          onClose={() => {
            setAsking(false);
            answer.reload();
          }}
        />
      ) : null}
    </Frame>
  );
}
