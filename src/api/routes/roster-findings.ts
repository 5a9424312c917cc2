import type { RosterView } from '#seal';

interface Finding {
  readonly title: string;
  readonly fix: string;
}

interface Seen {
  readonly roster: RosterView;
  readonly agree: boolean | null;
  readonly admins: readonly {
    readonly admin: string;
    readonly role: string;
    readonly keys: readonly { readonly unused: boolean }[];
  }[];
  readonly now: number;
}

const QUARTER_MS = 92 * 86_400_000;

/** What is not as it should be with the roster, worst first; the posture and the roster page show it. */
export function rosterFindings({ roster, agree, admins, now }: Seen): readonly Finding[] {
  const found: Finding[] = [];
  const { breakGlass, able, threshold, recovery } = roster;
  if (agree === false) {
    found.push({
      title: 'The two guards do not agree on the roster.',
      fix: 'Look at the sealer’s log. Until they agree, what only one of them takes opens nothing.',
    });
  }
  if (breakGlass.state === 'open') {
    found.push({ title: 'The sealed keys are open.', fix: 'See who opened them and why; they close after an hour.' });
  }
  if (breakGlass.state === 'spent') {
    found.push({ title: 'The sealed keys were used and are dead.', fix: 'Register a new pair, and seal it.' });
  }
  if (!breakGlass.reviewed) {
    found.push({
      title: 'An opening of the sealed keys was not reviewed.',
      fix: 'Write the review: as many people sign it as a change of the roster takes.',
    });
  }
  if (able.length < threshold + 1) {
    found.push({
      title: `Only ${able.length} administrators can sign now; a change of the roster takes ${threshold}.`,
      fix: 'Invite one more, so that one may be missing. A new passkey counts after 72 hours.',
    });
  }
  const single = admins.filter(({ keys }) => keys.length < 2).length;
  if (single > 0) {
    found.push({
      title: single === 1 ? 'One admin has a single passkey.' : `${single} admins have a single passkey.`,
      fix: 'Give each a second one: who loses the only one has to be invited anew.',
    });
  }
  const unused = admins.flatMap(({ keys }) => keys).filter((key) => key.unused).length;
  if (unused > 0) {
    found.push({
      title: unused === 1 ? 'One passkey was not used for 90 days.' : `${unused} passkeys were not used for 90 days.`,
      fix: 'Ask their owners to touch them, or remove them.',
    });
  }
  if (breakGlass.state === 'none' || breakGlass.state === 'registering') {
    found.push({
      title: 'No sealed keys are ready for an emergency.',
      fix: 'Register two keys and three custodians on the page Break-glass, and put the keys into two safes.',
    });
  } else if (breakGlass.state === 'sealed' && now - (breakGlass.drilledAt ?? 0) > QUARTER_MS) {
    found.push({
      title: 'The sealed keys were not tried this quarter.',
      fix: 'Hold a drill with two custodians on glass.',
    });
  }
  if (!recovery) {
    found.push({
      title: 'No recovery key was pinned at founding.',
      fix: 'If every administrator is lost, nobody can make a new roster. It can be given at the first start only.',
    });
  }
  return found;
}
