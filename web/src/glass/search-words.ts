import type { Hydrate } from '../../../src/seal/search-types.ts';

/** What is asked of two people, in a heading. */
export const hydrateHeading = ({ field, hours }: Hydrate): string =>
  `Open the search by ${field} for ${hours} ${hours === 1 ? 'hour' : 'hours'}`;

/** What it does. */
export const hydrateEffect = ({ field }: Hydrate): string =>
  field === 'name'
    ? 'The names of everybody enter the memory of one guard, the sealer, and stay there until the hours are over, the search is closed or the directory is locked. Whoever breaks into that guard in this time can read them all. Administrators can then find people by name, ten at a time, each counted and written down.'
    : 'One guard, the sealer, opens every number once, so that both guards together can tell whose number it is that somebody types whole. Whoever breaks into that guard in this time can read them all. What stays are tags that neither guard can compute alone.';
