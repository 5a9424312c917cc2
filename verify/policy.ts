import { Finding } from './finding.ts';
import {
  COSIGNATURE_ED25519,
  COSIGNATURE_ML_DSA_44,
  ED25519,
  type Note,
  readKey,
  signedBy,
  type VerifierKey,
} from './note.ts';

/** Whose checkpoints count, and which witnesses must have seen them. C2SP tlog-policy. */
export interface Policy {
  readonly logs: readonly VerifierKey[];
  readonly witnesses: ReadonlyMap<string, VerifierKey>;
  readonly groups: ReadonlyMap<string, { readonly needed: number; readonly members: readonly string[] }>;
  /** Name of a witness or group, or `none`. */
  readonly quorum: string;
}

/** What the witnesses of a policy say about a checkpoint. */
export interface Witnessed {
  readonly enough: boolean;
  /** Names in the policy, with the time that each signed. */
  readonly by: readonly { readonly name: string; readonly time: string }[];
}

const bad = (line: number, what: string) => new Finding('policy', `Line ${line} of the policy: ${what}`);

/** Reads a policy file. Throws Finding `policy` with the line. */
export function readPolicy(bytes: Buffer): Policy {
  const logs: VerifierKey[] = [];
  const witnesses = new Map<string, VerifierKey>();
  const groups = new Map<string, { needed: number; members: string[] }>();
  const inGroup = new Set<string>();
  const raws = new Set<string>();
  let quorum: string | undefined;
  // Octets with the high bit set are opaque: latin1 keeps each as it is.
  const text = bytes.toString('latin1');
  if (/[^\t\n\x20-\x7e\x80-\xff]/.test(text)) throw new Finding('policy', 'The policy has a control character.');
  const known = (name: string) => witnesses.has(name) || groups.has(name);
  for (const [at, line] of text.split('\n').entries()) {
    const n = at + 1;
    const [word, ...rest] = line.split(/[ \t]+/).filter((one) => one !== '');
    if (word === undefined || word.startsWith('#')) continue;
    const key = (vkey: string | undefined, kinds: readonly number[]) => {
      const read = keyIn(vkey, kinds, n);
      const raw = read.raw.toString('hex');
      if (raws.has(raw)) throw bad(n, 'this key is named twice.');
      raws.add(raw);
      return read;
    };
    const fresh = (name: string | undefined): string => {
      if (name === undefined || name === 'none' || known(name)) throw bad(n, 'the name is missing or taken.');
      return name;
    };
    if (word === 'log' && rest.length <= 2) logs.push(key(rest[0], [ED25519, COSIGNATURE_ML_DSA_44]));
    else if (word === 'witness' && rest.length <= 3)
      witnesses.set(fresh(rest[0]), key(rest[1], [COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44]));
    else if (word === 'group') {
      const [name, how = '', ...members] = rest;
      for (const member of members) {
        if (!known(member)) throw bad(n, `${member} is not defined above.`);
        if (inGroup.has(member)) throw bad(n, `${member} is in a group already.`);
        inGroup.add(member);
      }
      const needed = how === 'any' ? 1 : how === 'all' ? members.length : /^[1-9][0-9]?$/.test(how) ? Number(how) : 0;
      if (needed < 1 || needed > members.length) throw bad(n, 'a group is: group <name> all|any|<k> <member>…');
      groups.set(fresh(name), { needed, members });
    } else if (word === 'quorum' && rest.length === 1 && quorum === undefined) {
      quorum = rest[0]!;
      if (quorum !== 'none' && !known(quorum)) throw bad(n, `${quorum} is not defined above.`);
    } else throw bad(n, 'expected one log, witness, group or quorum (once), with its items.');
  }
  if (quorum === undefined) throw new Finding('policy', 'The policy has no quorum line.');
  return { logs, witnesses, groups, quorum };
}

function keyIn(vkey: string | undefined, kinds: readonly number[], n: number): VerifierKey {
  let key: VerifierKey;
  try {
    key = readKey(Buffer.from(vkey ?? '', 'latin1').toString('utf8'));
  } catch (error) {
    throw bad(n, (error as Finding).message);
  }
  if (!kinds.includes(key.kind)) throw bad(n, 'this kind of key does not sign here.');
  return key;
}

/** Judges a note by the policy's witnesses. A wrong signature of one of them throws Finding `note`. */
export function witnessed(note: Note, policy: Policy): Witnessed {
  const by = new Map<string, string>();
  for (const [name, key] of policy.witnesses) {
    const signed = signedBy(note, key);
    if (signed !== undefined) by.set(name, new Date((signed.time ?? 0) * 1000).toISOString());
  }
  const counts = (name: string): boolean => {
    const group = policy.groups.get(name);
    return group === undefined ? by.has(name) : group.members.filter(counts).length >= group.needed;
  };
  return {
    enough: policy.quorum === 'none' || counts(policy.quorum),
    by: [...by].map(([name, time]) => ({ name, time })),
  };
}
