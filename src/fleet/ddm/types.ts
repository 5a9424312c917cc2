import { knownType, TYPES } from '#wire';

export interface DeclarationType {
  readonly type: string;
  /** First iOS and iPadOS with it. */
  readonly since: string;
  /** Its keys of the first level, those that are needed first. */
  readonly keys: readonly { readonly name: string; readonly needed: boolean }[];
}

/** The types for phones and tablets whose keys are known here: what an editor can offer. */
export function declarationTypes(): DeclarationType[] {
  return TYPES.flatMap((type) => {
    const known = knownType(type);
    if (known?.since === undefined) return [];
    const keys = [...known.keys]
      .filter(([name, { mac }]) => name !== '*' && !mac)
      .map(([name, { required }]) => ({ name, needed: required }));
    return [{ type, since: known.since, keys: keys.sort((a, b) => Number(b.needed) - Number(a.needed)) }];
  });
}
