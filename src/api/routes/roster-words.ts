import type { RosterChange } from '#seal';

/** One sentence for people; what is signed is the document on glass, not this. */
export function rosterSummary({ change }: RosterChange): string {
  switch (change.act) {
    case 'add-key':
      return `Give ${change.admin} a further passkey`;
    case 'remove-key':
      return 'Remove a passkey';
    case 'remove-admin':
      return `Remove ${change.admin}`;
    case 'role':
      return `Make ${change.admin} ${change.role}`;
    case 'threshold':
      return `Let ${change.threshold} people change the roster`;
    case 'caps':
      return 'Change the limits';
    case 'break-glass':
      return 'Register sealed keys and custodians';
    case 'review':
      return `Review an opening of the sealed keys: ${change.verdict}`;
    default:
      return change satisfies never;
  }
}
