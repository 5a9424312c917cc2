import { randomInt } from 'node:crypto';
import { Sealed } from '#base';
import type { NewPerson } from './row.ts';

const GIVEN = 'Mirela Anton Solveig Teodor Iveta Casimir Noor Valdis Eszter Lorenz Pilar Tiago'.split(' ');
const FAMILY = 'Halvorsgaard Weidenthaler Montclair Kovalenka Perreira Thorvaldsen Zavadil Orsolini'.split(' ');

const oneOf = <T>(list: readonly T[]): T => list[randomInt(list.length)]!;

/** How many decoys go with so many people: 1 %, of fewer than 5 000 people 2 %, at least 2. */
export const decoysFor = (people: number): number => Math.max(2, Math.ceil(people * (people < 5_000 ? 0.02 : 0.01)));

/**
 * Somebody who does not exist and looks like the others: unit and member state of one of them, mail domain of another,
 * names mixed from theirs. The number is from a range reserved for fiction, so that no stranger is ever rung.
 */
export function inventDecoy(people: readonly NewPerson[]): NewPerson {
  const like = oneOf(people);
  const taken = (given: string, family: string) =>
    people.some((one) => one.given.use((text) => text === given) && one.family.use((text) => text === family));
  let given = oneOf(GIVEN);
  let family = oneOf(FAMILY);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const mixed = [oneOf(people).given.use((text) => text), oneOf(people).family.use((text) => text)] as const;
    if (taken(...mixed)) continue;
    [given, family] = mixed;
    break;
  }
  const domain = oneOf(people).email.use((text) => text.slice(text.lastIndexOf('@') + 1));
  const local = `${given}.${family}`
    .normalize('NFD')
    .replace(/[^A-Za-z.]/g, '')
    .toLowerCase()
    .slice(0, 48);
  return {
    given: new Sealed(given),
    family: new Sealed(family),
    email: new Sealed(`${local}${randomInt(2, 100)}@${domain}`),
    mobile: new Sealed(`+3363998${String(randomInt(10_000)).padStart(4, '0')}`),
    unit: like.unit,
    memberState: like.memberState,
  };
}
