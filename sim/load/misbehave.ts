import { SimError } from './aim.ts';
import { ATTACKS } from './hostile.ts';
import { ODDITIES } from './oddities.ts';

const FAULTS = ['notnow', 'error', 'format', 'garbage', 'forged-result', 'duplicate', 'lose'] as const;
export type Fault = (typeof FAULTS)[number];

/** What goes wrong, how often. Shares are of polls, 0 to 1. */
export interface Misbehaviour {
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
  readonly attacks: Readonly<Record<string, number>>;
  /** Odd clients; phone n is the n-th of them, round and round. */
  readonly oddities: readonly string[];
}

/**
 * Reads `notnow=0.1,ber-bomb=0.05,string-booleans,tolerance`. `tolerance` stands for every odd client, `hostile` for every
 * attack at one poll in ten. Throws SimError that names what there is.
 */
export function readMisbehaviour(text: string): Misbehaviour {
  const faults: Partial<Record<Fault, number>> = {};
  const attacks: Record<string, number> = {};
  const oddities: string[] = [];
  for (const part of text.split(',').filter((one) => one !== '')) {
    const [name = '', value] = part.split('=');
    const share = value === undefined ? 0.1 : Number(value);
    if (!(share >= 0 && share <= 1)) throw new SimError('usage', `'${part}': a share is a number from 0 to 1.`);
    if (name === 'tolerance') oddities.push(...Object.keys(ODDITIES));
    else if (name === 'hostile') for (const one of Object.keys(ATTACKS)) attacks[one] = share;
    else if (ODDITIES[name] !== undefined) oddities.push(name);
    else if (ATTACKS[name] !== undefined) attacks[name] = share;
    else if ((FAULTS as readonly string[]).includes(name)) faults[name as Fault] = share;
    else {
      const all = [...FAULTS, ...Object.keys(ATTACKS), ...Object.keys(ODDITIES), 'tolerance', 'hostile'];
      throw new SimError('usage', `There is no misbehaviour '${name}'. There is: ${all.join(', ')}.`);
    }
  }
  return { faults, attacks, oddities };
}
