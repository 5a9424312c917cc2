import { WireError } from '../error.ts';

/** RFC 7644 section 3.12, table 9. */
export type ScimType =
  | 'invalidFilter'
  | 'invalidPath'
  | 'invalidSyntax'
  | 'invalidValue'
  | 'mutability'
  | 'noTarget'
  | 'tooMany'
  | 'uniqueness';

/** A request that is refused as RFC 7644 section 3.12 says. The message never quotes what was sent. */
export class ScimRefusal extends WireError {
  readonly scimType: ScimType | undefined;

  constructor(status: number, scimType: ScimType | undefined, message: string) {
    super('scim', message, { status });
    this.scimType = scimType;
  }
}

export const invalidValue = (message: string) => new ScimRefusal(400, 'invalidValue', message);
