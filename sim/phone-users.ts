import type { PlistDict } from './plist.ts';

/** A user with a channel of its own: by its id, or signed in to a shared iPad by a managed Apple ID. */
export type PhoneUser = { readonly id: string } | { readonly shared: string };

/** The keys that name a user in check-ins and results. */
export function userKeys(user: PhoneUser): PlistDict {
  return 'id' in user
    ? { UserID: user.id }
    : { UserID: 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', UserShortName: user.shared, UserLongName: user.shared };
}
