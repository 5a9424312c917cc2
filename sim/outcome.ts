import type { PlistDict } from './plist.ts';

/** How a phone answers one command. */
export interface Outcome {
  readonly status: 'Acknowledged' | 'Error';
  readonly answer: PlistDict;
  /** Runs after the server has the answer: a phone confirms an erase before it forgets everything. */
  readonly after?: () => void;
}

export function failed(code: number, description: string, domain = 'MCMDMErrorDomain'): Outcome {
  return {
    status: 'Error',
    answer: {
      ErrorChain: [
        { ErrorCode: code, ErrorDomain: domain, LocalizedDescription: description, USEnglishDescription: description },
      ],
    },
  };
}

export const done = (answer: PlistDict = {}, after?: () => void): Outcome => ({
  status: 'Acknowledged',
  answer,
  ...(after === undefined ? {} : { after }),
});
