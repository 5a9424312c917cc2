import { checkDeclaration, type Declaration, type Problem } from '#wire';

/**
 * Declarations that can take a device over or lead its traffic elsewhere: profiles whose contents we do not see, trust
 * anchors and identities, accounts, name servers and tunnels, the enrolment of watches, code from any address. Assets too:
 * whoever changes the asset changes what was agreed to with the configuration. A second administrator agrees to them.
 */
const DANGEROUS =
  /^com\.apple\.(asset\.[a-z.-]+|configuration\.(legacy(\.interactive)?|security\.(certificate|identity|passkey\.attestation)|account\.[a-z-]+|network\.[a-z0-9.-]+|webcontent-filter\.[a-z]+|watch\.enrollment|package|services\.[a-z.-]+|screensharing\.[a-z.-]+))$/;
/** An app from an address instead of the store is code that nobody but its author has looked at. */
const APP = 'com.apple.configuration.app.managed';
/** Names and addresses of people are not kept in clear; what needs them cannot be declared here. */
const PERSONAL = ['FullName', 'EmailAddress'];

const isDangerous = ({ type, payload }: Declaration): boolean =>
  DANGEROUS.test(type) || (type === APP && Object.hasOwn(payload, 'ManifestURL'));

function personalProblems({ type, payload }: Declaration): readonly Problem[] {
  if (type !== 'com.apple.asset.useridentity') return [];
  return PERSONAL.filter((key) => Object.hasOwn(payload, key)).map((path) => ({
    path,
    rule: 'would name a person, and declarations are kept in clear',
  }));
}

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
  // What is no object at all has no more to judge; it was written by somebody who went round the checks.
  if (checked.problems.some(({ path }) => path === 'Payload' || path === 'Type'))
    return { problems: checked.problems, needsSecond: true, why: [], since: undefined };
  const problems = [...checked.problems, ...personalProblems(declaration)];
  const why = [...(isDangerous(declaration) ? ['dangerous'] : []), ...(checked.unchecked ? ['unchecked'] : [])];
  return { problems, needsSecond: why.length > 0, why, since: checked.since };
}
