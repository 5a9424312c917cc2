import { Sealed } from '#base';
import type { PlainPerson } from './judge.ts';

/** One member of staff on the way to being sealed. */
export interface NewPerson {
  readonly given: Sealed<string>;
  readonly family: Sealed<string>;
  readonly email: Sealed<string>;
  /** E.164. */
  readonly mobile: Sealed<string>;
  /** In the clear, at most 64 characters; empty if not known. */
  readonly unit: string;
  /** ISO 3166-1 alpha-2, in the clear; empty if not known. */
  readonly memberState: string;
}

/** The same person, whose values nobody prints by accident any more. */
export const newPerson = ({ given, family, email, mobile, unit, memberState }: PlainPerson): NewPerson => ({
  ...{ given: new Sealed(given), family: new Sealed(family), email: new Sealed(email), mobile: new Sealed(mobile) },
  ...{ unit, memberState },
});
