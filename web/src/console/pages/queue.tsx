import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Choice } from '../list.tsx';
import { Chip, CommandChip, Dialog, Empty, Frame, Loaded, Refused } from '../parts.tsx';
import { useSearch } from '../router.ts';
import { useMayChange, useSession } from '../session.tsx';
import { type Intent, rolloutsApi } from './rollouts-api.ts';

const WAITING = ['queued', 'not_now', 'held'];
const waiting = ({ commands, state }: Intent): number =>
  WAITING.reduce((sum, one) => sum + (commands[one] ?? 0), 0) +
  (['ready', 'held', 'awaiting-approval'].includes(state) ? 1 : 0);

function why(intent: Intent) {
  if (intent.heldBy === 'brake') return <>Held: {intent.heldWhy}</>;
  if (intent.heldBy !== null)
    return (
      <>
        Held by <span className="mono">{intent.heldBy}</span>: {intent.heldWhy}
      </>
    );
  if (intent.state === 'awaiting-approval') return <>Waits for two signatures</>;
  if (intent.notBefore !== null && intent.state === 'ready')
    return (
      <>
        Waits for a maintenance window, which opens <When at={intent.notBefore} />
      </>
    );
  const counts = Object.entries(intent.commands);
  return (
    <>
      {counts.length === 0
        ? (intent.reason ?? '')
        : counts.map(([state, n]) => `${n} ${state.replace('_', ' ')}`).join(', ')}
    </>
  );
}

function Row({ intent, onChange }: { intent: Intent; onChange: () => void }) {
  const { admin, role } = useSession();
  const mayChange = useMayChange();
  const act = useAct(async (work: () => Promise<unknown>) => {
    await work();
    onChange();
  });
  const held = intent.heldBy !== null;
  const own = intent.heldBy === 'brake' && intent.requester === admin;
  return (
    <li className="approval">
      <div className="stack tight">
        <div className="row">
          <h2>{intent.verb}</h2>
          {held ? <Chip tone="warn">held</Chip> : <CommandChip state={intent.state} />}
          <span>
            {intent.devices ?? 'all'} {intent.devices === 1 ? 'device' : 'devices'}
          </span>
        </div>
        <p>{why(intent)}</p>
        <p className="small quiet">
          <When at={intent.createdAt} /> by <span className="mono">{intent.requester}</span>: {intent.purpose}
        </p>
        <Refused problem={act.problem} />
      </div>
      {waiting(intent) === 0 ? null : (
        <div className="row">
          {held && !mayChange ? null : held ? (
            <button
              type="button"
              disabled={act.busy || own}
              title={own ? 'Another person must release it' : undefined}
              onClick={() => void act.run(() => rolloutsApi.release(intent.id))}
            >
              Release
            </button>
          ) : intent.state === 'awaiting-approval' || role === 'dpo' ? null : (
            <button
              type="button"
              disabled={act.busy}
              onClick={() => void act.run(() => rolloutsApi.hold(intent.id, 'held from the queue'))}
            >
              Hold
            </button>
          )}
          {mayChange ? (
            <button type="button" disabled={act.busy} onClick={() => void act.run(() => rolloutsApi.cancel(intent.id))}>
              Take back
            </button>
          ) : null}
        </div>
      )}
    </li>
  );
}

function TakeAllBack({ requesters, onClose }: { requesters: readonly string[]; onClose: () => void }) {
  const [requester, setRequester] = useState(requesters[0] ?? '');
  const [gone, setGone] = useState<{ intents: number; commands: number }>();
  const act = useAct(async () => setGone(await rolloutsApi.cancelAll({ requester })));
  return (
    <Dialog title="Take back everything of one person" onClose={onClose}>
      {gone === undefined ? (
        <>
          <p className="note warn">
            What no device has fetched is not sent any more, approvals and rollouts of this person included. What was
            fetched stays done. To stop the person too, put a lock on the admin.
          </p>
          <div className="field">
            <label htmlFor="whose">Whose?</label>
            <select id="whose" value={requester} onChange={(event) => setRequester(event.target.value)}>
              {requesters.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </div>
          <Refused problem={act.problem} />
          <div className="row">
            <button
              type="button"
              className="danger"
              disabled={act.busy || requester === ''}
              onClick={() => void act.run()}
            >
              Take it all back
            </button>
            <button type="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        </>
      ) : (
        <div className="stack" role="status">
          <p className="note good">
            <strong>Done.</strong> {gone.commands} commands in {gone.intents} requests were taken back.
          </p>
          <div>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

export function Queue() {
  const [search] = useSearch();
  const open = search.get('show') !== 'all';
  const answer = useAnswer(`queue:${open}`, (signal) =>
    rolloutsApi.intents({ waiting: String(open), limit: 100 }, signal),
  );
  const [taking, setTaking] = useState(false);
  const { role } = useSession();
  const items = (answer.data?.items ?? []).filter((intent) => !open || waiting(intent) > 0);
  return (
    <Frame
      title="Queue"
      aside={
        items.length === 0 || role === 'dpo' ? undefined : (
          <button type="button" onClick={() => setTaking(true)}>
            Take back everything of one person
          </button>
        )
      }
    >
      <p className="quiet">
        What was asked of devices and is not done, with the reason why it waits. Whatever no device has fetched can be
        held or taken back.
      </p>
      <div className="toolbar">
        <Choice
          name="show"
          label="Show"
          options={[
            ['', 'What waits'],
            ['all', 'Everything, newest first'],
          ]}
        />
      </div>
      <Loaded answer={answer}>
        {() =>
          items.length === 0 ? (
            <Empty title="Nothing waits">Every device has fetched what was meant for it.</Empty>
          ) : (
            <ul>
              {items.map((intent) => (
                <Row key={intent.id} intent={intent} onChange={answer.reload} />
              ))}
            </ul>
          )
        }
      </Loaded>
      {taking ? (
        <TakeAllBack
          requesters={[...new Set(items.map(({ requester }) => requester))].sort()}
          onClose={() => {
            setTaking(false);
            answer.reload();
          }}
        />
      ) : null}
    </Frame>
  );
}
