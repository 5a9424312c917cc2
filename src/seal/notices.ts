/**
 * Messages to people: what may be said, and what people sign so that it is said. Courier, the guards and the pages read the
 * same table; this file imports nothing, because pages import it.
 */

export const CHANNELS = ['sms', 'email'] as const;
export type Channel = (typeof CHANNELS)[number];

/** What a variable of a template may look like. Nothing that could be a name, a number or an address of somebody. */
export const VARIABLES = {
  /** An enrolment link of edge. */
  link: /^https?:\/\/[a-z0-9.:-]{1,100}\/enrol\/[A-Za-z0-9_-]{43}$/,
  /** A case of the organisation's, such as INC-20261124. */
  reference: /^[A-Z]{2,4}-[0-9]{1,12}$/,
  /** A day, ISO 8601. */
  date: /^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/,
} as const;
export type Variable = keyof typeof VARIABLES;
export type Variables = { readonly [name in Variable]?: string };

interface Template {
  /** What the console calls it. */
  readonly title: string;
  readonly variables: readonly Variable[];
  /** Of an e-mail. */
  readonly subject: string;
  readonly text: string;
}

const NEVER = 'We never ask for codes or passwords by message.';

/** The only things that are ever said to people. `{organisation}` is the organisation's id. */
export const TEMPLATES = {
  'enrolment-link': {
    title: 'Enrolment link',
    variables: ['link'],
    subject: 'Set up your work phone',
    text: '{organisation}: set up your work phone by opening this link on it: {link} It works once.',
  },
  'lost-phone': {
    title: 'Lost phone',
    variables: ['reference'],
    subject: 'Your work phone was reported lost',
    text: `{organisation}: your work phone was reported lost (case {reference}). If you have it, tell your service desk. ${NEVER}`,
  },
  'breach-notice': {
    title: 'Breach notice',
    variables: ['date', 'reference'],
    subject: 'A security incident that may concern your data',
    text: `{organisation}: on {date} we learned of a security incident that may concern your data (case {reference}). Your data protection officer tells you more. Be wary of calls and messages about it. ${NEVER}`,
  },
  'number-change': {
    title: 'Number or address is to change',
    variables: ['date'],
    subject: 'A change of your contact data',
    text: `{organisation}: on {date} somebody asked to change the number or address that we keep for you. If it was not you, tell your service desk today. ${NEVER}`,
  },
  'update-phone': {
    title: 'Update your phone',
    variables: ['date'],
    subject: 'Please update your work phone',
    text: '{organisation}: please install the waiting software update on your work phone before {date}.',
  },
} as const satisfies Record<string, Template>;

/** What a message is for. */
export type Topic = keyof typeof TEMPLATES;
export const TOPICS = Object.keys(TEMPLATES) as Topic[];
/** What can be said by a rule, without anybody's touch. */
export const AUTOMATIC: readonly Topic[] = ['number-change'];
/** A link is for one person. */
export const FOR_MANY: readonly Topic[] = TOPICS.filter((topic) => topic !== 'enrolment-link');
/** Most people that one notice is sent to. */
export const MOST_NOTIFIED = 5_000;

export interface MessageText {
  readonly subject: string;
  readonly text: string;
}

/** What is hashed as a template (`Send.template`): canonical JSON of this. */
export function templateBody(topic: Topic): { readonly topic: string } & MessageText {
  const { subject, text } = TEMPLATES[topic];
  return { topic, subject, text };
}

/** The message as it is sent, or undefined if its variables are not exactly those of its template. */
export function renderMessage(topic: Topic, organisation: string, variables: Variables): MessageText | undefined {
  const { subject, text, variables: needed }: Template = TEMPLATES[topic];
  const names = Object.keys(variables);
  if (names.length !== needed.length) return undefined;
  let rendered = text.replaceAll('{organisation}', organisation);
  for (const name of needed) {
    const value = variables[name];
    if (value === undefined || !VARIABLES[name].test(value)) return undefined;
    rendered = rendered.replaceAll(`{${name}}`, value);
  }
  return { subject, text: rendered };
}

interface Message {
  readonly v: 1;
  readonly id: string;
  readonly channel: Channel;
  readonly topic: Topic;
  /** SHA-256 of the canonical template. */
  readonly template: string;
  /** SHA-256 of the canonical `MessageText`: exactly what the person receives. */
  readonly text: string;
  readonly notAfter: number;
}

/** One message to one person; one touch. The guards open this person's address to courier's key alone. */
export interface Send extends Message {
  readonly op: 'send';
  readonly admin: string;
  readonly subject: string;
}

/** One message to many; two signatures over exactly these people and this text. */
export interface Notice extends Message {
  readonly op: 'notice';
  readonly variables: Variables;
  /** Handles, sorted and unique, 2 to 5 000. */
  readonly subjects: readonly string[];
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** One message to one person because a rule says so (`AUTOMATIC`). Signed by core; the guards grant few of them. */
export interface AutoSend extends Message {
  readonly op: 'auto-send';
  readonly rule: string;
  readonly variables: Variables;
  readonly subject: string;
  /** Ed25519 by core over canonical JSON of everything above. */
  readonly signature: string;
}

/** Everything that lets the guards open an address to courier. */
export type Ordered = Send | Notice | AutoSend;
