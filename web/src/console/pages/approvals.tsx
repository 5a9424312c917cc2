import { When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import { Choice, Pager } from '../list.tsx';
import type { Approval } from '../model.ts';
import { Chip, DeviceLink, Empty, Frame, GlassLink, Loaded, type Tone } from '../parts.tsx';
import { useSearch } from '../router.ts';
import { useSession } from '../session.tsx';

const TONE: Readonly<Record<string, Tone>> = { open: 'warn', executing: 'info', executed: 'good', refused: 'bad' };

function Item({ approval }: { approval: Approval }) {
  const { admin, glass } = useSession();
  const signed = approval.signatures.some((signature) => signature.admin === admin);
  return (
    <li className="approval">
      <div className="stack-tight">
        <div className="row">
          <h2>{approval.summary}</h2>
          <Chip tone={TONE[approval.state] ?? 'quiet'}>{approval.state}</Chip>
        </div>
        <p>
          Asked by <span className="mono">{approval.requester}</span> <When at={approval.createdAt} />: “
          {approval.purpose}”
        </p>
        <p className="small">
          {approval.signatures.length} of {approval.needs} signatures
          {approval.signatures.map((signature) => (
            <span key={signature.admin}>
              , <span className="mono">{signature.admin}</span> <When at={signature.at} />
            </span>
          ))}
          . {approval.doneAt === null ? 'Expires ' : 'Finished '}
          <When at={approval.doneAt ?? approval.notAfter} />. {approval.reason}
        </p>
        {approval.devices.length === 0 ? null : (
          <details>
            <summary>
              {approval.devices.length} {approval.devices.length === 1 ? 'device' : 'devices'}
            </summary>
            <p className="handle-list">
              {approval.devices.map((handle) => (
                <DeviceLink key={handle} handle={handle} />
              ))}
            </p>
          </details>
        )}
      </div>
      <div>
        {approval.state !== 'open' ? null : signed ? (
          <span className="quiet">you have signed</span>
        ) : (
          <GlassLink glass={glass} task={`approve=${approval.id}`} primary>
            Review and sign
          </GlassLink>
        )}
      </div>
    </li>
  );
}

export function Approvals() {
  const [search] = useSearch();
  const state = search.get('state') ?? 'open';
  const answer = useAnswer(`approvals:${search}`, (signal) =>
    api.approvals({ state: state === 'all' ? null : state, after: search.get('after'), limit: 50 }, signal),
  );
  return (
    <Frame title="Approvals">
      <p className="quiet">
        What destroys, opens a lock, invites an admin or gives devices dangerous declarations needs two people. Each
        reads it on glass and signs with a passkey.
      </p>
      <div className="toolbar">
        <Choice
          name="state"
          label="State"
          options={[
            ['', 'open'],
            ['executed', 'executed'],
            ['refused', 'refused'],
            ['expired', 'expired'],
            ['all', 'Every state'],
          ]}
        />
      </div>
      <Loaded answer={answer}>
        {({ items, total, next }) =>
          items.length === 0 ? (
            <Empty title={state === 'open' ? 'Nothing waits for a signature' : 'None'}>
              {state === 'open'
                ? 'Approvals appear here when somebody asks to erase, to lock many, to unlock, to invite or to declare what is dangerous.'
                : 'Choose another state.'}
            </Empty>
          ) : (
            <>
              <ul>
                {items.map((approval) => (
                  <Item key={approval.id} approval={approval} />
                ))}
              </ul>
              <Pager shown={items.length} total={total} next={next} what={['approval', 'approvals']} />
            </>
          )
        }
      </Loaded>
    </Frame>
  );
}
