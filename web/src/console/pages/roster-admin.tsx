import { When } from '../../shared/time.tsx';
import { Chip, GlassLink } from '../parts.tsx';
import { useMayChange, useSession } from '../session.tsx';
import type { RosterAdmin, RosterKeyRow } from './roster-api.ts';

/** What somebody wants changed, chosen in a row. */
export type Wish =
  | { readonly act: 'add-key'; readonly admin: string }
  | { readonly act: 'remove-key'; readonly key: string; readonly admin: string }
  | { readonly act: 'remove-admin'; readonly admin: string }
  | { readonly act: 'role'; readonly admin: string; readonly role: string };

function KeyRow({
  row,
  admin,
  only,
  onWish,
}: {
  row: RosterKeyRow;
  admin: string;
  only: boolean;
  onWish: (wish: Wish) => void;
}) {
  const { glass } = useSession();
  const mayChange = useMayChange();
  return (
    <li className="row apart">
      <span className="row">
        <span className="mono">{row.key.slice(0, 10)}</span>
        {row.locked ? <Chip tone="bad">locked</Chip> : null}
        {row.unused ? <Chip tone="warn">unused for 90 days</Chip> : null}
        {row.newUntil === null ? null : <Chip tone="info">new</Chip>}
        {row.founding ? <span className="quiet">founder’s</span> : null}
        <span className="quiet small">
          pinned <When at={row.since} />, used <When at={row.usedAt} />
          {row.sessions > 0 ? `, ${row.sessions} signed in` : ''}
          {row.newUntil === null ? null : (
            <>
              , signs for others <When at={row.newUntil} />
            </>
          )}
        </span>
      </span>
      <span className="row">
        {row.locked || only ? null : (
          <GlassLink glass={glass} task={`lock=credential&target=${row.key}`}>
            Lock this passkey
          </GlassLink>
        )}
        {mayChange && !only ? (
          <button type="button" onClick={() => onWish({ act: 'remove-key', key: row.key, admin })}>
            Remove it
          </button>
        ) : null}
      </span>
    </li>
  );
}

/** One admin: role, standing, passkeys with their last use, and what can be asked for. */
export function AdminRow({ admin, onWish }: { admin: RosterAdmin; onWish: (wish: Wish) => void }) {
  const { glass } = useSession();
  const mayChange = useMayChange();
  const name = admin.admin;
  return (
    <li className="approval">
      <div>
        <div className="row">
          <h2 className="mono">{name}</h2>
          <span>{admin.role}</span>
          {admin.locked ? <Chip tone="bad">locked</Chip> : null}
          {admin.able ? <Chip tone="good">can sign</Chip> : null}
          {admin.keys.length < 2 ? <Chip tone="warn">one passkey</Chip> : null}
        </div>
        <ul className="stack tight">
          {admin.keys.map((row) => (
            <KeyRow key={row.key} row={row} admin={name} only={admin.keys.length === 1} onWish={onWish} />
          ))}
        </ul>
      </div>
      <div className="row">
        {admin.locked ? null : (
          <GlassLink glass={glass} task={`lock=admin&target=${name}`}>
            Lock
          </GlassLink>
        )}
        {mayChange ? (
          <>
            <button type="button" onClick={() => onWish({ act: 'add-key', admin: name })}>
              Add a passkey
            </button>
            <button type="button" onClick={() => onWish({ act: 'role', admin: name, role: admin.role })}>
              Change role
            </button>
            <button type="button" onClick={() => onWish({ act: 'remove-admin', admin: name })}>
              Remove
            </button>
          </>
        ) : null}
      </div>
    </li>
  );
}
