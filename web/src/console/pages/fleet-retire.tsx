import { type FormEvent, useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { Chip, DeviceLink, Dialog, Empty, Frame, GlassLink, Loaded, Refused, type Tone } from '../parts.tsx';
import { SaveButton } from '../save.tsx';
import { useMayChange, useSession } from '../session.tsx';
import { fleetApi, type Retirement, type RetireWay } from './fleet-api.ts';

const WAYS: Readonly<Record<RetireWay, readonly [string, string]>> = {
  unenrol: ['Unenrol', 'The device removes management and everything that is managed. What is the holder’s own stays.'],
  erase: ['Erase', 'Everything on the device goes. It waits for two people, and is never done to a personal device.'],
  forget: [
    'Forget',
    'The device is not asked: for one that is lost, broken or gone. It is cut off; what is on it stays there.',
  ],
};

const STATE: Readonly<Record<string, readonly [Tone, string]>> = {
  open: ['info', 'waits for the device'],
  confirmed: ['info', 'confirmed'],
  'timed-out': ['warn', 'out of time'],
  revoked: ['info', 'certificate revoked'],
  forgotten: ['good', 'retired'],
  cancelled: ['quiet', 'taken back'],
  failed: ['bad', 'failed'],
};

/** Asks for devices to leave. */
export function RetireDialog({
  devices,
  personal,
  onClose,
  onDone,
}: {
  devices: readonly string[];
  personal: boolean;
  onClose: () => void;
  onDone: () => void;
}) {
  const { glass } = useSession();
  const [way, setWay] = useState<RetireWay>('unenrol');
  const [purpose, setPurpose, clear] = useDraft('purpose:retire');
  const [made, setMade] = useState<{ approval: string | null }>();
  const act = useAct(async () => {
    setMade(await fleetApi.retire({ devices, way, purpose: purpose.trim() }));
    clear();
    onDone();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void act.run();
  };
  return (
    <Dialog title={`Retire: ${devices.length === 1 ? devices[0] : `${devices.length} devices`}`} onClose={onClose}>
      {made === undefined ? (
        <form className="stack" onSubmit={submit}>
          <fieldset className="builder">
            <legend>How</legend>
            {(Object.keys(WAYS) as RetireWay[]).map((one) => (
              <label key={one} className="choice">
                <input
                  type="radio"
                  name="way"
                  checked={way === one}
                  disabled={one === 'erase' && personal}
                  onChange={() => setWay(one)}
                />
                <span>
                  <strong>{WAYS[one][0]}.</strong> {WAYS[one][1]}
                </span>
              </label>
            ))}
          </fieldset>
          <p className="small quiet">
            Afterwards the certificate is revoked and what is known of the device is erased; its handle and the evidence
            stay. A device that does not answer within 30 days is retired without its word, and the evidence says so.
          </p>
          <div className="field">
            <label htmlFor="retire-purpose">
              Why? <span className="hint">5 to 200 characters; no names, no numbers</span>
            </label>
            <textarea
              id="retire-purpose"
              required
              minLength={5}
              maxLength={200}
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          </div>
          <Refused problem={act.problem} />
          <div className="row">
            <button type="submit" className="danger" disabled={act.busy}>
              {way === 'erase' ? 'Ask for two signatures' : WAYS[way][0]}
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </form>
      ) : (
        <div className="stack" role="status">
          <p className={made.approval === null ? 'note good' : 'note warn'}>
            {made.approval === null
              ? 'It goes on by itself. Follow it under Retirements; it can be taken back until the device fetches the command.'
              : 'It waits for two people. Nothing is sent until both have signed.'}
          </p>
          <div className="row">
            {made.approval === null ? null : (
              <GlassLink glass={glass} task={`approve=${made.approval}`} primary>
                Review and sign
              </GlassLink>
            )}
            <a className="button" href="/retirements">
              Retirements
            </a>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** Why an open one waits, and what comes next. */
function Waits({ id }: { id: string }) {
  const { data } = useAnswer(`retirement:${id}`, (signal) => fleetApi.retirement(id, signal));
  if (data === undefined) return null;
  return (
    <p className="small">
      Now: {data.cause}. Next: {data.next}.
    </p>
  );
}

function Item({ one, onChanged }: { one: Retirement; onChanged: () => void }) {
  const mayChange = useMayChange();
  const [tone, word] = STATE[one.state] ?? ['quiet', one.state];
  const cancel = useAct(async () => {
    await fleetApi.cancelRetirement(one.id);
    onChanged();
  });
  return (
    <li className="approval">
      <div>
        <div className="row">
          <DeviceLink handle={one.device} /> <strong>{WAYS[one.way][0].toLowerCase()}</strong>
          <Chip tone={tone}>{word}</Chip>
        </div>
        <p className="small quiet">
          by <span className="mono">{one.requester}</span>, “{one.purpose}”
        </p>
        <ol className="way small">
          <li>
            asked <When at={one.requestedAt} />
          </li>
          <li>
            {one.confirmedBy === 'nobody' ? 'not confirmed' : 'confirmed'} <When at={one.confirmedAt} none="not yet" />
          </li>
          <li>
            certificate revoked <When at={one.revokedAt} none="not yet" />
          </li>
          <li>
            ended <When at={one.endedAt} none="not yet" />
          </li>
        </ol>
        {one.endedAt === null ? <Waits id={one.id} /> : null}
        <Refused problem={cancel.problem} />
      </div>
      <div className="row">
        {one.cancellable && mayChange ? (
          <button type="button" disabled={cancel.busy} onClick={() => cancel.run()}>
            Take back
          </button>
        ) : null}
        <SaveButton path={fleetApi.evidence(one.id, 'md')} name={`retirement-${one.id}.md`} label="Evidence (text)" />
        <SaveButton path={fleetApi.evidence(one.id, 'json')} name={`retirement-${one.id}.json`} label="JSON" />
      </div>
    </li>
  );
}

export function Retirements() {
  const answer = useAnswer('retirements', (signal) => fleetApi.retirements({ limit: 100 }, signal));
  return (
    <Frame title="Retirements">
      <p className="quiet">
        Devices that leave or have left. Begin on a device’s page, or select up to 100 in the list. Each has an evidence
        record: which command, which log entries, when.
      </p>
      <Loaded answer={answer}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty title="No device has left yet" />
          ) : (
            <>
              <ul>
                {items.map((one) => (
                  <Item key={one.id} one={one} onChanged={answer.reload} />
                ))}
              </ul>
              {next === null ? null : <p className="quiet">The newest {items.length} are shown.</p>}
            </>
          )
        }
      </Loaded>
    </Frame>
  );
}
