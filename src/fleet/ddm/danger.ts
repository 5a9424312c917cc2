import { checkDeclaration, type Declaration, type Problem } from '#wire';

/**
 * Declarations that can take a device over or lead its traffic elsewhere: profiles whose contents we do not see, trust
 * anchors, accounts, name servers and tunnels, the enrolment of watches. A second administrator agrees to them.
 */
const DANGEROUS =
  /^com\.apple\.configuration\.(legacy(\.interactive)?|security\.certificate|account\.[a-z-]+|network\.[a-z0-9.-]+|webcontent-filter\.[a-z]+|watch\.enrollment)$/;

export interface Judgement {
  readonly problems: readonly Problem[];
  /** Two administrators must want it: it is dangerous, or nobody can check it. */
  readonly needsSecond: boolean;
  /** Why it needs two: `dangerous`, `unchecked`. */
  readonly why: readonly string[];
  readonly since: string | undefined;
}

/** Whether a declaration may be sent, and who must agree. */
export function judgeDeclaration(declaration: Declaration, unchecked: boolean): Judgement {
  const checked = checkDeclaration(declaration, { unchecked });
  const why = [...(DANGEROUS.test(declaration.type) ? ['dangerous'] : []), ...(checked.unchecked ? ['unchecked'] : [])];
  return { problems: checked.problems, needsSecond: why.length > 0, why, since: checked.since };
}
