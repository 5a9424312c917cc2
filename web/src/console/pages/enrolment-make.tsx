import { type FormEvent, useId, useState } from 'react';
import { saveFile } from '../../shared/save-file.ts';
import { useAct, useAnswer, useDraft } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { QrCode } from '../qr.tsx';
import { useSession } from '../session.tsx';
import { enrolmentApi, type IdentityKind, type MadeLink, type Ownership } from './enrolment-api.ts';

const HANDLE = /^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/;
/** From weak to strong, as the server has them. */
const KINDS: readonly (readonly [IdentityKind, string])[] = [
  ['scep', 'SCEP, any device'],
  ['acme', 'ACME, key in hardware, not proven'],
  ['acme-attested', 'ACME, attested by the maker'],
];
const cell = (value: string | null) => `"${(value ?? '').replaceAll('"', '""')}"`;

/** For mass mailing: whoever holds the addresses joins them by handle; no name leaves this page. */
function csvOf(made: readonly MadeLink[]): string {
  const rows = made.map((one) => [one.holder, one.device, one.ownership, one.expiresAt, one.link].map(cell).join(','));
  return ['holder,device,ownership,expires,link', ...rows, ''].join('\r\n');
}

const saveCsv = (made: readonly MadeLink[]): void =>
  saveFile('enrolment-links.csv', new Blob([csvOf(made)], { type: 'text/csv' }));

/** The link goes to glass in the fragment, and from there to courier in a box: no server of ours reads it. */
const sendTask = (to: string, link: string) =>
  new URLSearchParams({ send: 'enrolment-link', channel: 'sms', to, link }).toString();

/** The links, this once: as QR code, text, message and file. */
export function Made({ made, onClose }: { made: readonly MadeLink[]; onClose: () => void }) {
  const [at, setAt] = useState(0);
  const one = made[at] as MadeLink;
  const { glass } = useSession();
  return (
    <Dialog title={made.length === 1 ? 'Enrolment link' : `${made.length} enrolment links`} onClose={onClose}>
      <p className="note warn">
        <strong>They are shown once.</strong> Each works for one phone, once, until it expires or is revoked.
      </p>
      <div className="qr-row">
        <QrCode text={one.link} label={`QR code of the enrolment link for ${one.device}`} />
        <div className="stack">
          <dl className="facts">
            <dt>Device</dt>
            <dd className="mono">{one.device}</dd>
            <dt>Holder</dt>
            <dd className="mono">{one.holder ?? 'nobody'}</dd>
            <dt>Owner</dt>
            <dd>{one.ownership === 'personal' ? 'the holder' : 'the organisation'}</dd>
          </dl>
          <p className="link-box small">{one.link}</p>
          <div className="row">
            <button type="button" onClick={() => navigator.clipboard.writeText(one.link)}>
              Copy the link
            </button>
            {made.length === 1 ? null : (
              <>
                <button type="button" disabled={at === 0} onClick={() => setAt(at - 1)}>
                  Previous
                </button>
                <span className="quiet" role="status">
                  {at + 1} of {made.length}
                </span>
                <button type="button" disabled={at === made.length - 1} onClick={() => setAt(at + 1)}>
                  Next
                </button>
              </>
            )}
          </div>
        </div>
      </div>
      <div className="row">
        {one.holder === null ? null : (
          <GlassLink glass={glass} task={sendTask(one.holder, one.link)}>
            Send it by SMS
          </GlassLink>
        )}
        <button type="button" className="primary" onClick={() => saveCsv(made)}>
          Save as CSV
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

/** Makes links: for people by handle, or for a number of devices of nobody. */
export function MakeLinks({ people, onClose }: { people: string; onClose: () => void }) {
  const id = useId();
  const [holders, setHolders, clearHolders] = useDraft(`enrol-holders:${people}`, people.replaceAll(',', '\n'));
  const [pool, setPool] = useState(people === '' ? '1' : '0');
  const [ownership, setOwnership] = useState<Ownership>('organisation');
  const policy = useAnswer('identity-policy', (signal) => enrolmentApi.policy(signal)).data;
  const least = policy?.identity ?? 'scep';
  const attestable = (policy?.roots.length ?? 0) > 0;
  const [identity, setIdentity] = useState<IdentityKind>();
  const chosen = identity ?? least;
  const [days, setDays] = useState('7');
  const [wrong, setWrong] = useState<string>();
  const [made, setMade] = useState<readonly MadeLink[]>();
  const make = useAct(async (named: readonly string[]) => {
    const all = [...named, ...Array.from({ length: Number(pool) }, () => null)];
    const { items } = await enrolmentApi.make({ holders: all, ownership, identity: chosen, days: Number(days) });
    setMade(items);
    clearHolders();
  });
  if (made !== undefined) return <Made made={made} onClose={onClose} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const named = holders.split(/[\s,;]+/).filter((text) => text !== '');
    const bad = named.find((text) => !HANDLE.test(text));
    const count = named.length + Number(pool);
    if (bad !== undefined) return setWrong(`“${bad}” is not a handle such as amber-otter-4821.`);
    if (!Number.isInteger(count) || count < 1 || count > 1000) return setWrong('Make 1 to 1000 links at a time.');
    if (ownership === 'personal' && Number(pool) > 0)
      return setWrong('A personal device has a holder: set the spare devices to 0.');
    setWrong(undefined);
    void make.run(named);
  };
  return (
    <Dialog title="Make enrolment links" onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <div className="field">
          <label htmlFor={`${id}h`}>
            Holders <span className="hint">handles, one a line; one link each</span>
          </label>
          <textarea
            id={`${id}h`}
            className="mono"
            rows={4}
            spellCheck={false}
            value={holders}
            onChange={(event) => setHolders(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}n`}>Spare devices, with nobody yet</label>
          <input id={`${id}n`} inputMode="numeric" value={pool} onChange={(event) => setPool(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor={`${id}o`}>Whose devices are they?</label>
          <select id={`${id}o`} value={ownership} onChange={(event) => setOwnership(event.target.value as Ownership)}>
            <option value="organisation">The organisation’s</option>
            <option value="personal">The holders’ own: never erased</option>
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}i`}>
            Certificate{' '}
            <span className="hint">
              {attestable ? 'attested: only a device that its maker vouches for' : 'no attestation root is set'}
            </span>
          </label>
          <select id={`${id}i`} value={chosen} onChange={(event) => setIdentity(event.target.value as IdentityKind)}>
            {KINDS.slice(KINDS.findIndex(([kind]) => kind === least)).map(([kind, words]) => (
              <option key={kind} value={kind} disabled={kind === 'acme-attested' && !attestable}>
                {words}
              </option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}d`}>Days until they expire (1 to 30)</label>
          <input id={`${id}d`} inputMode="numeric" value={days} onChange={(event) => setDays(event.target.value)} />
        </div>
        <p className="field-error" role="alert">
          {wrong}
        </p>
        <Refused problem={make.problem} />
        <div className="row">
          <button type="submit" className="primary" disabled={make.busy}>
            Make the links
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
