import { When } from '../../shared/time.tsx';
import { api } from '../client.ts';
import { useAnswer } from '../data.ts';
import type { Push } from '../model.ts';
import { Chip, CommandChip, DeviceLink, Empty, Frame, Loaded, or, type Tone } from '../parts.tsx';

/** On every page while phones cannot be woken, or soon will not be. */
export function PushBanner() {
  const { data } = useAnswer('overview', api.overview);
  if (!data?.push) return null;
  return (
    <div className={data.push.urgent ? 'note bad' : 'note warn'} role="status">
      {data.push.text} <a href="/push">What waits, and why</a>
    </div>
  );
}

const STATE: Readonly<Record<string, [Tone, string]>> = {
  due: ['info', 'goes out in a moment'],
  retry: ['warn', 'is tried again'],
  sent: ['good', 'taken by APNs'],
  invalid: ['bad', 'token given up'],
};

function days(left: number | null): [Tone, string] {
  if (left === null) return ['quiet', 'unknown'];
  if (left < 0) return ['bad', `expired ${-left} ${left === -1 ? 'day' : 'days'} ago`];
  return [left <= 14 ? 'bad' : left <= 60 ? 'warn' : 'good', `${left} ${left === 1 ? 'day' : 'days'} left`];
}

function Certificate({ certificate }: { certificate: Push['certificate'] }) {
  if (certificate === null) {
    return (
      <Empty title="No push certificate is installed">
        Phones are not woken; they check in now and then by themselves. Get one from Apple’s Push Certificates Portal,
        then on the server: <code>bartizan push install FILE</code>
      </Empty>
    );
  }
  const [tone, left] = days(certificate.daysLeft);
  const accepted = certificate.canary === 'accepted';
  return (
    <dl className="facts">
      <dt>Topic</dt>
      <dd className="mono">{or(certificate.topic)}</dd>
      <dt>Valid until</dt>
      <dd>
        <When at={certificate.notAfter} /> <Chip tone={tone}>{left}</Chip>
      </dd>
      <dt>In use since</dt>
      <dd>
        <When at={certificate.loadedAt} />
      </dd>
      <dt>Canary</dt>
      <dd>
        <Chip tone={accepted ? 'good' : 'bad'}>{accepted ? 'accepted' : certificate.canary}</Chip>{' '}
        <When at={certificate.canaryAt} />
        <p className="small quiet">
          Asked every hour with a push for a device that cannot exist: APNs’ answer shows that the way is open.
        </p>
      </dd>
    </dl>
  );
}

function Waiting({ waiting }: { waiting: Push['waiting'] }) {
  if (waiting.total === 0) return <Empty title="No command waits" />;
  return (
    <>
      <div className="scroll">
        <table className="list">
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Command</th>
              <th scope="col">State</th>
              <th scope="col">Since</th>
              <th scope="col">Waits because</th>
            </tr>
          </thead>
          <tbody>
            {waiting.items.map((item) => (
              <tr key={`${item.device} ${item.verb} ${item.queuedAt}`}>
                <th scope="row">
                  <DeviceLink handle={item.device} />
                </th>
                <td>{item.verb}</td>
                <td>
                  <CommandChip state={item.state} />
                </td>
                <td>
                  <When at={item.queuedAt} />
                </td>
                <td>{or(item.waitsFor)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="quiet small">
        {waiting.items.length === waiting.total
          ? `${waiting.total} in all`
          : `The oldest ${waiting.items.length} of ${waiting.total}`}
      </p>
    </>
  );
}

export function PushPage() {
  const answer = useAnswer('push', api.push);
  return (
    <Frame title="Push">
      <p className="quiet">
        A push only wakes a phone; commands travel when it checks in. Without pushes everything waits, locks and
        erasures too.
      </p>
      <Loaded answer={answer}>
        {({ certificate, obstacle, pushes, waiting }) => (
          <>
            {obstacle === null || certificate === null ? null : (
              <section className="note bad" aria-label="Pushes are refused">
                <strong>No phone is woken:</strong> {obstacle}.
              </section>
            )}
            <section className="section">
              <h2>Certificate</h2>
              <Certificate certificate={certificate} />
            </section>
            <section className="section">
              <h2>Pushes</h2>
              {pushes.length === 0 ? (
                <Empty title="No device was pushed yet" />
              ) : (
                <div className="scroll">
                  <table className="list">
                    <thead>
                      <tr>
                        <th scope="col">Last push</th>
                        <th scope="col">APNs’ word</th>
                        <th scope="col" className="number">
                          Devices
                        </th>
                      </tr>
                    </thead>
                    <tbody>
                      {pushes.map((one) => (
                        <tr key={`${one.state} ${one.reason}`}>
                          <th scope="row">
                            <Chip tone={STATE[one.state]?.[0] ?? 'quiet'}>{STATE[one.state]?.[1] ?? one.state}</Chip>
                          </th>
                          <td>{one.reason ?? ''}</td>
                          <td className="number">{one.devices}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
            </section>
            <section className="section">
              <h2>What waits</h2>
              <Waiting waiting={waiting} />
            </section>
          </>
        )}
      </Loaded>
    </Frame>
  );
}
