import { When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import { useRows } from '../keys.ts';
import { Choice, Pager } from '../list.tsx';
import type { Alert } from '../model.ts';
import { Chip, DeviceLink, Empty, Frame, LevelChip, Loaded } from '../parts.tsx';
import { useSearch } from '../router.ts';
import { AlertChannels } from './alert-channels.tsx';

export const AlertStatus = ({ status }: { status: Alert['status'] }) => (
  <Chip tone={status === 'open' ? 'warn' : 'quiet'}>{status}</Chip>
);

function Rows({ items }: { items: readonly Alert[] }) {
  const { body } = useRows(items.length, {});
  return (
    <div className="scroll">
      <table className="list">
        <thead>
          <tr>
            <th scope="col">Alert</th>
            <th scope="col">Level</th>
            <th scope="col">Status</th>
            <th scope="col">About</th>
            <th scope="col" className="number">
              Events
            </th>
            <th scope="col">Raised</th>
          </tr>
        </thead>
        <tbody ref={body}>
          {items.map((alert) => (
            <tr key={alert.id}>
              <th scope="row">
                <a href={`/alerts/${alert.id}`}>{alert.title}</a>
              </th>
              <td>
                <LevelChip level={alert.level} />
              </td>
              <td>
                <AlertStatus status={alert.status} />
              </td>
              <td>
                {alert.actor === null ? null : <span className="mono">{alert.actor}</span>}{' '}
                {alert.device === null ? null : <DeviceLink handle={alert.device} />}
              </td>
              <td className="number">
                <a href={`/alerts/${alert.id}`} aria-label={`${alert.events} events of ${alert.title}`}>
                  {alert.events}
                </a>
              </td>
              <td>
                <When at={alert.createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Alerts() {
  const [search] = useSearch();
  const filter = { status: search.get('status'), after: search.get('after'), limit: 100 };
  const answer = useAnswer(`alerts:${search}`, (signal) => api.alerts(filter, signal));
  return (
    <Frame title="Alerts">
      <div className="toolbar">
        <Choice
          name="status"
          label="Status"
          options={[
            ['', 'Every status'],
            ['open', 'open'],
            ['acknowledged', 'acknowledged'],
            ['closed', 'closed'],
          ]}
        />
      </div>
      <Loaded answer={answer}>
        {({ items, total, next }) =>
          items.length === 0 ? (
            <Empty title={filter.status === null ? 'No alerts' : `No ${filter.status} alerts`}>
              Rules read the log as it is written. <code>bartizan drill january</code> shows what they catch.
            </Empty>
          ) : (
            <>
              <Rows items={items} />
              <Pager shown={items.length} total={total} next={next} what={['alert', 'alerts']} />
            </>
          )
        }
      </Loaded>
      <AlertChannels />
    </Frame>
  );
}
