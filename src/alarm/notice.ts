/** What is told of an alert: a rule's own words, handles and counts. Nobody's name or number is in the database to be told. */
export interface Notice {
  /** Of this delivery: the same in every try, so that a receiver can tell a second try from a second alert. */
  readonly id: string;
  readonly reason: 'raised' | 'escalated' | 'taken-up' | 'test';
  /** Of the alert; for a test the delivery's own. */
  readonly alert: string;
  readonly rule: string;
  readonly title: string;
  readonly level: 'informational' | 'low' | 'medium' | 'high' | 'critical';
  readonly actor: string | null;
  readonly device: string | null;
  readonly events: number;
  readonly at: Date;
  /** Where it is looked at, in the console. */
  readonly link: string;
  readonly organisation: string;
}

const WORD: { readonly [reason in Notice['reason']]: string } = {
  raised: '',
  escalated: 'Nobody has taken it up: ',
  'taken-up': 'Taken up: ',
  test: 'Test: ',
};

/** One line, as a phone shows it. */
export const headline = ({ reason, level, title, organisation }: Notice): string =>
  `[${organisation}] ${level.toUpperCase()} ${WORD[reason]}${title}`;

/** The same with what is known, as lines. */
export function lines(notice: Notice): string[] {
  const { rule, actor, device, events, at, link } = notice;
  return [
    `Rule: ${rule}`,
    ...(actor === null ? [] : [`Admin: ${actor}`]),
    ...(device === null ? [] : [`Device: ${device}`]),
    `Events: ${events}`,
    `Time: ${at.toISOString()}`,
    link,
  ];
}
