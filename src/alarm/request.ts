import { headline, lines, type Notice } from './notice.ts';
import type { Channel } from './settings.ts';
import { signatures } from './sign.ts';

/** What is sent over HTTP, as each service documents it. */
export interface Outgoing {
  readonly url: string;
  readonly method: 'POST' | 'PUT';
  readonly headers: { readonly [name: string]: string };
  readonly body: string;
}

type Over<K extends Channel['kind']> = Extract<Channel, { kind: K }>;
type Http = Exclude<Channel, { kind: 'email' }>;

const PAGERDUTY = 'https://events.pagerduty.com/v2/enqueue';
const bearer = (token: string | undefined): { authorization?: string } =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };
const json = (url: string, body: object, headers: { [name: string]: string } = {}): Outgoing => ({
  ...{ url, method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
  body: JSON.stringify(body),
});
const under = (base: string, path: string): string => `${base.replace(/\/+$/, '')}${path}`;

/** The request that tells this channel. `now`: milliseconds. */
export function requestFor(channel: Http, notice: Notice, now: number): Outgoing {
  switch (channel.kind) {
    case 'webhook':
      return webhook(channel, notice, now);
    case 'slack':
      return json(channel.url, { text: plain(notice) });
    case 'teams':
      return teams(channel, notice);
    case 'matrix':
      return matrix(channel, notice);
    case 'ntfy':
      return ntfy(channel, notice);
    case 'pagerduty':
      return pagerduty(channel, notice);
    case 'alertmanager':
      return alertmanager(channel, notice, now);
    default:
      return channel satisfies never;
  }
}

const plain = (notice: Notice): string => [headline(notice), ...lines(notice)].join('\n');

/** Standard Webhooks 1.0: its receiver tells a second try by `webhook-id`. */
function webhook({ url, secrets }: Over<'webhook'>, notice: Notice, now: number): Outgoing {
  const { id, reason, link, organisation, at, ...data } = notice;
  const body = JSON.stringify({
    type: `alert.${reason}`,
    timestamp: new Date(now).toISOString(),
    data: { ...data, at: at.toISOString(), link, organisation },
  });
  const seconds = Math.floor(now / 1000);
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures(secrets, id, seconds, body),
  };
  return { url, method: 'POST', headers, body };
}

/** An Adaptive Card, as a Teams workflow takes it. */
function teams({ url }: Over<'slack' | 'teams'>, notice: Notice): Outgoing {
  const block = (text: string, more: object = {}) => ({ type: 'TextBlock', text, wrap: true, ...more });
  const facts = lines(notice).slice(0, -1);
  const card = {
    ...{ $schema: 'http://adaptivecards.io/schemas/adaptive-card.json', type: 'AdaptiveCard', version: '1.4' },
    body: [block(headline(notice), { weight: 'Bolder' }), ...facts.map((line) => block(line))],
    actions: [{ type: 'Action.OpenUrl', title: 'Look at it', url: notice.link }],
  };
  const attachment = { contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content: card };
  return json(url, { type: 'message', attachments: [attachment] });
}

/** Matrix client-server API 1.8, section 6.5: the transaction id makes a second try no second message. */
function matrix({ url, room, token }: Over<'matrix'>, notice: Notice): Outgoing {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message/${notice.id}`;
  const message = json(
    under(url, path),
    { msgtype: 'm.text', body: plain(notice) },
    { authorization: `Bearer ${token}` },
  );
  return { ...message, method: 'PUT' };
}

const PRIORITY = { informational: 2, low: 2, medium: 3, high: 4, critical: 5 } as const;

function ntfy({ url, topic, token }: Over<'ntfy'>, notice: Notice): Outgoing {
  const quiet = notice.reason === 'taken-up' || notice.reason === 'test';
  return json(
    under(url, '/'),
    {
      ...{ topic, title: headline(notice), message: lines(notice).slice(0, -1).join('\n'), click: notice.link },
      priority: quiet ? 2 : PRIORITY[notice.level],
    },
    bearer(token),
  );
}

const SEVERITY = {
  informational: 'info',
  low: 'info',
  medium: 'warning',
  high: 'error',
  critical: 'critical',
} as const;

/** Events API v2: the alert's id is the key of its incident there. */
function pagerduty({ routingKey, url = PAGERDUTY }: Over<'pagerduty'>, notice: Notice): Outgoing {
  const { alert, reason, link, organisation, rule, actor, device, events, at, level } = notice;
  const common = { routing_key: routingKey, dedup_key: alert };
  if (reason === 'taken-up') return json(url, { ...common, event_action: 'acknowledge' });
  return json(url, {
    ...{ ...common, event_action: 'trigger', client: 'Bartizan', links: [{ href: link, text: 'Look at it' }] },
    payload: {
      ...{ summary: headline(notice), source: organisation, timestamp: at.toISOString(), component: rule },
      severity: reason === 'test' ? 'info' : SEVERITY[level],
      custom_details: { rule, actor, device, events },
    },
  });
}

/** A day after which an alert that nobody took up ends there by itself; it stays open here. */
const ENDS_MS = 24 * 3_600_000;

/** Alertmanager API v2: the labels are what it tells one alert from another by, so they are the same in every try. */
function alertmanager({ url, token }: Over<'alertmanager'>, notice: Notice, now: number): Outgoing {
  const { alert, rule, level, actor, device, at, reason, organisation, link, events } = notice;
  const labels = {
    ...{ alertname: rule, severity: level, alert, organisation },
    ...(actor === null ? {} : { admin: actor }),
    ...(device === null ? {} : { device }),
  };
  const ends =
    reason === 'taken-up' || reason === 'test'
      ? new Date(Math.max(now, at.getTime() + 1))
      : new Date(at.getTime() + ENDS_MS);
  const annotations = { summary: headline({ ...notice, reason: 'raised' }), events: String(events) };
  const one = { labels, annotations, startsAt: at.toISOString(), endsAt: ends.toISOString(), generatorURL: link };
  return json(under(url, '/api/v2/alerts'), [one] as object, bearer(token));
}
