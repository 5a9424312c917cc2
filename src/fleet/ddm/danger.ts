import {
  checkDeclaration,
  type Declaration,
  type DeclarationDanger,
  declarationDangers,
  type Problem,
  serverToken,
} from '#wire';
import { PERSONAL_WORDS, personalIn } from '../personal.ts';

/** Names and addresses of people are not kept in clear; what needs them cannot be declared here. */
const PERSONAL = ['FullName', 'EmailAddress'];

function personalProblems({ type, payload }: Declaration): readonly Problem[] {
  if (type !== 'com.apple.asset.useridentity') {
    // An organisation's own address is nobody's.
    if (type === 'com.apple.management.organization-info') return [];
    return personalIn(payload).map(({ path, kind }) => ({ path, rule: `${PERSONAL_WORDS[kind]}` }));
  }
  return PERSONAL.filter((key) => Object.hasOwn(payload, key)).map((path) => ({
    path,
    rule: 'would name a person, and declarations are kept in clear',
  }));
}

export interface Judgement {
  readonly problems: readonly Problem[];
  /** No device gets it before two people agreed to these bytes for this device. */
  readonly guarded: boolean;
  /** Why it needs two: `dangerous`, `unchecked`. */
  readonly why: readonly DeclarationDanger[];
  readonly since: string | undefined;
  /** ServerToken of this content. */
  readonly token: string;
}

/** Whether a declaration may be sent, and whether two people must agree; edge judges the latter again for itself. */
export function judgeDeclaration(declaration: Declaration, unchecked: boolean): Judgement {
  const checked = checkDeclaration(declaration, { unchecked });
  // What is no object at all has no more to judge; it was written by somebody who went round the checks.
  if (checked.problems.some(({ path }) => path === 'Payload' || path === 'Type'))
    return { problems: checked.problems, guarded: true, why: [], since: undefined, token: '' };
  const problems = [...checked.problems, ...personalProblems(declaration)];
  const why = declarationDangers(declaration);
  return { problems, guarded: why.length > 0, why, since: checked.since, token: tokenOf(declaration) };
}

/** Empty for what no bytes can be made of, such as a number that JSON has no place for. */
function tokenOf(declaration: Declaration): string {
  try {
    return serverToken(declaration);
  } catch {
    return '';
  }
}
