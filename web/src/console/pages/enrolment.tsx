import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Choice, Pager } from '../list.tsx';
import { Chip, DeviceLink, Empty, Frame, Loaded, PersonLink, Refused, type Tone } from '../parts.tsx';
import { go, useSearch } from '../router.ts';
import { useMayChange } from '../session.tsx';
import { Claims } from './claims.tsx';
import { ByAccount } from './enrolment-account.tsx';
import { DeviceAssignment } from './enrolment-ade.tsx';
import { type EnrolmentLink, enrolmentApi, LINK_STATES, type LinkState } from './enrolment-api.ts';
import { Attestation } from './enrolment-identity.tsx';
import { MakeLinks } from './enrolment-make.tsx';

const TONE: Readonly<Record<LinkState, Tone>> = {
  offered: 'info',
  opened: 'warn',
  used: 'good',
  expired: 'quiet',
  revoked: 'quiet',
};

function Row({ link, onRevoke, busy }: { link: EnrolmentLink; onRevoke: () => void; busy: boolean }) {
  const mayChange = useMayChange();
  const open = link.state === 'offered' || link.state === 'opened';
  return (
    <tr>
      <th scope="row">
        <DeviceLink handle={link.device} />
      </th>
      <td>
        <Chip tone={TONE[link.state]}>{link.state}</Chip>
      </td>
      <td>
        <PersonLink handle={link.holder} />
      </td>
      <td>{link.ownership === 'personal' ? <Chip tone="info">personal</Chip> : 'organisation'}</td>
      <td>{{ scep: 'SCEP', acme: 'ACME', 'acme-attested': 'attested' }[link.identity]}</td>
      <td>
        <When at={link.createdAt} /> <span className="quiet">by</span> <span className="mono">{link.createdBy}</span>
      </td>
      <td>
        <When at={link.usedAt ?? link.revokedAt ?? link.expiresAt} />
      </td>
      <td className="number">
        {open && mayChange ? (
          <button type="button" disabled={busy} onClick={onRevoke} aria-label={`Revoke the link for ${link.device}`}>
            Revoke
          </button>
        ) : null}
      </td>
    </tr>
  );
}

function Links() {
  const [search] = useSearch();
  const filter = { state: search.get('state'), after: search.get('after'), limit: 50 };
  const answer = useAnswer(`links:${search}`, (signal) => enrolmentApi.links(filter, signal));
  const revoke = useAct(async (id: string) => {
    await enrolmentApi.revoke(id);
    answer.reload();
  });
  return (
    <section className="section">
      <h2>Links</h2>
      <p className="quiet">
        One link, one phone, once. Whoever opens it enrols that device, so send it where only its holder reads. The link
        itself is kept nowhere: what is lost is revoked and made anew.
      </p>
      <div className="toolbar">
        <Choice
          name="state"
          label="State"
          options={[['', 'Every state'], ['open', 'Open'], ...LINK_STATES.map((state) => [state, state] as const)]}
        />
      </div>
      <Refused problem={revoke.problem} />
      <Loaded answer={answer}>
        {({ items, total, next }) =>
          items.length === 0 ? (
            <Empty title="No links here">Make some, and send each to its holder or show its QR code.</Empty>
          ) : (
            <>
              <div className="scroll">
                <table className="list">
                  <thead>
                    <tr>
                      <th scope="col">Device</th>
                      <th scope="col">Link</th>
                      <th scope="col">Holder</th>
                      <th scope="col">Owner</th>
                      <th scope="col">Certificate</th>
                      <th scope="col">Made</th>
                      <th scope="col">Ends</th>
                      <th scope="col">
                        <span className="hidden-visually">Acts</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {items.map((link) => (
                      <Row key={link.id} link={link} busy={revoke.busy} onRevoke={() => void revoke.run(link.id)} />
                    ))}
                  </tbody>
                </table>
              </div>
              <Pager shown={items.length} total={total} next={next} what={['link', 'links']} />
            </>
          )
        }
      </Loaded>
    </section>
  );
}

export function Enrolment() {
  const [search] = useSearch();
  const people = search.get('for') ?? '';
  const mayChange = useMayChange();
  const [making, setMaking] = useState(people !== '' && mayChange);
  const close = () => {
    setMaking(false);
    if (people !== '') go('/enrolment', { replace: true });
  };
  return (
    <Frame
      title="Enrolment"
      aside={
        mayChange ? (
          <button type="button" className="primary" onClick={() => setMaking(true)}>
            Make enrolment links
          </button>
        ) : undefined
      }
    >
      <Claims />
      <Links />
      <Attestation />
      <DeviceAssignment />
      <ByAccount />
      {making ? <MakeLinks people={people} onClose={close} /> : null}
    </Frame>
  );
}
