import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { call, query, send } from '../client.ts';
import { useAct, useAnswer } from '../data.ts';
import { DeviceLink, Dialog, PersonLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';
import type { MadeLink } from './enrolment-api.ts';
import { Made } from './enrolment-make.tsx';

interface Claim {
  readonly id: string;
  readonly device: string;
  readonly claimant: string;
  readonly holder: string | null;
  readonly claimantHolder: string | null;
  readonly lastSeenAt: string | null;
  readonly tries: number;
  readonly firstAt: string;
  readonly lastAt: string;
}

function Agree({ claim, onClose, onDone }: { claim: Claim; onClose: () => void; onDone: () => void }) {
  const agree = useAct(async () => {
    await send<void>('POST', `/claims/${claim.id}/decide`, { agree: true });
    onDone();
  });
  return (
    <Dialog title="Is it the same phone?" onClose={onClose}>
      <p className="note warn">
        Agree only if somebody who has the phone in hand told you so. When it comes with its link,{' '}
        <strong>the enrolment of {claim.device} ends</strong>, with all that waits for it, an erasure too. The phone is
        then {claim.claimant}. Its link works once more, for a day.
      </p>
      <Refused problem={agree.problem} />
      <div className="row">
        <button type="button" className="primary" disabled={agree.busy} onClick={() => void agree.run()}>
          It is the same phone
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

/** Phones that said they are one which is enrolled already; nothing at all when there are none. */
export function Claims({ device }: { device?: string }) {
  const answer = useAnswer(`claims:${device ?? ''}`, (signal) =>
    call<{ items: readonly Claim[] }>(query('/claims', { device: device ?? null }), { signal }),
  );
  const [asked, setAsked] = useState<Claim>();
  const refuse = useAct(async (id: string) => {
    await send<void>('POST', `/claims/${id}/decide`, { agree: false });
    answer.reload();
  });
  const mayChange = useSession().role === 'administrator';
  const items = answer.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <section className="section">
      <h2>Phones that say they are another</h2>
      <p className="quiet">
        Each came with a link of its own and said the identifier of a phone that is enrolled. It may be that phone,
        erased by its holder, or somebody who knows its identifier. Nothing has changed yet.
      </p>
      <Refused problem={refuse.problem} />
      <div className="scroll">
        <table className="list">
          <thead>
            <tr>
              <th scope="col">Enrolled as</th>
              <th scope="col">Last seen</th>
              <th scope="col">Came as</th>
              <th scope="col">Tries</th>
              <th scope="col">Last try</th>
              <th scope="col">
                <span className="hidden-visually">Acts</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((claim) => (
              <tr key={claim.id}>
                <th scope="row">
                  <DeviceLink handle={claim.device} /> <PersonLink handle={claim.holder} />
                </th>
                <td>
                  <When at={claim.lastSeenAt} />
                </td>
                <td>
                  <DeviceLink handle={claim.claimant} /> <PersonLink handle={claim.claimantHolder} />
                </td>
                <td className="number">{claim.tries}</td>
                <td>
                  <When at={claim.lastAt} />
                </td>
                <td className="number">
                  {mayChange ? (
                    <div className="row">
                      <button type="button" onClick={() => setAsked(claim)}>
                        It is the same phone
                      </button>
                      <button type="button" disabled={refuse.busy} onClick={() => void refuse.run(claim.id)}>
                        Refuse
                      </button>
                    </div>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {asked === undefined ? null : (
        <Agree
          claim={asked}
          onClose={() => setAsked(undefined)}
          onDone={() => {
            setAsked(undefined);
            answer.reload();
          }}
        />
      )}
    </section>
  );
}

/** A link to enrol a device anew, shown once. */
export function EnrolAnew({ device, holder, ownership }: Pick<MadeLink, 'device' | 'holder' | 'ownership'>) {
  const mayChange = useSession().role === 'administrator';
  const [made, setMade] = useState<MadeLink>();
  const make = useAct(async () => {
    const answer = await send<Pick<MadeLink, 'device' | 'expiresAt' | 'link'>>(
      'POST',
      `/devices/${encodeURIComponent(device)}/link`,
      {},
    );
    setMade({ ...answer, holder, ownership });
  });
  if (!mayChange) return null;
  return (
    <>
      <button type="button" className="plain" disabled={make.busy} onClick={() => void make.run()}>
        Link to enrol it anew
      </button>
      <Refused problem={make.problem} />
      {made === undefined ? null : <Made made={[made]} onClose={() => setMade(undefined)} />}
    </>
  );
}
