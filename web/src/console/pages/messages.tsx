import { useState } from 'react';
import { TEMPLATES, type Topic } from '../../../../src/seal/notices.ts';
import { When } from '../../shared/time.tsx';
import { call, query } from '../client.ts';
import { useAnswer } from '../data.ts';
import { Pager } from '../list.tsx';
import { Chip, Empty, Frame, Loaded, PersonLink, type Tone } from '../parts.tsx';
import { useSearch } from '../router.ts';
import type { Message, Messages as Sent } from './messages-api.ts';
import { Compose } from './messages-compose.tsx';

const STATE: Readonly<Record<Message['state'], readonly [Tone, string]>> = {
  waiting: ['quiet', 'waits'],
  taken: ['info', 'being sent'],
  sending: ['info', 'being sent'],
  sent: ['good', 'taken by the gateway'],
  failed: ['bad', 'not sent'],
  uncertain: ['warn', 'may have been sent'],
  expired: ['warn', 'too late'],
  refused: ['bad', 'refused by the guards'],
};

const BY: Readonly<Record<Message['lane'], string>> = {
  send: 'one touch',
  notice: 'two people',
  'auto-send': 'a rule',
};

function Rows({ items }: { items: readonly Message[] }) {
  return (
    <div className="scroll">
      <table className="list">
        <thead>
          <tr>
            <th scope="col">To</th>
            <th scope="col">For</th>
            <th scope="col">As</th>
            <th scope="col">State</th>
            <th scope="col">Asked</th>
          </tr>
        </thead>
        <tbody>
          {items.map((one) => {
            const [tone, word] = STATE[one.state];
            return (
              <tr key={one.id}>
                <th scope="row">
                  <PersonLink handle={one.subject} />
                </th>
                <td>{TEMPLATES[one.topic as Topic]?.title ?? one.topic}</td>
                <td>{one.channel === 'sms' ? 'SMS' : 'e-mail'}</td>
                <td>
                  <Chip tone={tone}>{word}</Chip>{' '}
                  {one.reason === null ? null : <span className="quiet small mono">{one.reason}</span>}
                </td>
                <td className="nowrap">
                  <When at={one.at} />{' '}
                  <span className="quiet small">
                    {one.lane === 'auto-send' ? BY[one.lane] : `${one.by}, ${BY[one.lane]}`}
                  </span>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Messages to people: what waits, what was taken, what failed, and the form for the next. Handles only. */
export function Messages() {
  const [search, change] = useSearch();
  const to = search.get('to');
  const filter = { after: search.get('after'), limit: 100 };
  const answer = useAnswer(`messages:${search.get('after')}`, (signal) =>
    call<Sent>(query('/messages', filter), { signal }),
  );
  const [writing, setWriting] = useState(to !== null);
  const close = () => {
    setWriting(false);
    change({ to: null });
  };
  return (
    <Frame
      title="Messages"
      aside={
        writing ? null : (
          <button type="button" className="primary" onClick={() => setWriting(true)}>
            Write a message
          </button>
        )
      }
    >
      <p className="quiet">
        Courier writes to people by handle. Numbers and addresses are opened to it alone, one message at a time; neither
        this page nor the database ever holds one.
      </p>
      <Loaded answer={answer}>
        {({ items, total, next, channels, organisation }) => (
          <>
            {channels.length < 2 ? (
              <p className="note info">
                {channels.length === 0
                  ? 'No gateway is set up yet, so messages wait. Your operator does that with “bartizan courier set”.'
                  : `Courier can send ${channels[0] === 'sms' ? 'SMS' : 'e-mail'} only; other messages wait until a gateway is set up.`}
              </p>
            ) : null}
            {writing ? <Compose to={to ?? ''} organisation={organisation} onClose={close} /> : null}
            {items.length === 0 ? (
              <Empty title="No messages yet">
                Choose people under People, or write to everybody when there is something that all must know.
              </Empty>
            ) : (
              <>
                <Rows items={items} />
                <Pager shown={items.length} total={total} next={next} what={['message', 'messages']} />
              </>
            )}
          </>
        )}
      </Loaded>
    </Frame>
  );
}
