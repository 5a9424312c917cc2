import { inventPeople } from '#sim';
import { SearchGuards } from '../test/spec/guards/search-fixture.ts';
import { round } from './load.ts';
import { median } from './measure.ts';

/** What a search of names costs. */
export interface SearchFigures {
  readonly people: number;
  /** From two people's signatures until every name is in the sealer's memory, seconds. */
  readonly hydrate_s: number;
  /** What the names take there, MiB. */
  readonly memory_mib: number;
  /** One question, with its entry on disk, milliseconds. */
  readonly question_p50_ms: number;
}

/** Handles of the form that people have, as many as are asked for. */
const handleOf = (n: number): string =>
  `amber-otter${String.fromCharCode(97 + Math.floor(n / 9000))}-${1000 + (n % 9000)}`;

/** A further name, so that there are more people than invented names. */
const toWord = (n: number): string => n.toString(26).replace(/[0-9]/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);

const BATCH = 250;
const QUESTIONS = 40;

/**
 * Opens a search over `people` invented people at a pair of guards on real sockets and disks. Both guards and glass's part share one
 * process here, so one core does what three processes do on two.
 */
export async function searchFigures(people: number, say: (line: string) => void): Promise<SearchFigures> {
  const place = await SearchGuards.start({ namesPerDay: 1_000_000, orgPerDay: 10_000_000 });
  try {
    say(`${people} names are sealed for the search`);
    const invented = inventPeople(Math.min(people, 10_000));
    const nameOf = (n: number) => {
      const { given, family } = invented[n % invented.length]!;
      return n < invented.length ? `${given} ${family}` : `${given} ${family} ${toWord(n)}`;
    };
    for (let at = 0; at < people; at += BATCH) {
      const part = Array.from({ length: Math.min(BATCH, people - at) }, (_, n) => [handleOf(at + n), nameOf(at + n)]);
      await place.people(Object.fromEntries(part));
    }
    say('the search is opened');
    const startedAt = performance.now();
    await place.open(undefined, [0, 1], 600_000);
    const hydrateS = (performance.now() - startedAt) / 1000;
    const { known, bytes } = await place.status();
    if (known !== people) throw new Error(`${known} of ${people} names are known`);
    const times: number[] = [];
    for (let n = 0; n < QUESTIONS; n += 1) {
      const touched = place.touch('name', {}, n % 3);
      const sent = place.seal(touched, nameOf((n * 977) % people), 1);
      const at = performance.now();
      await place.send(touched, sent);
      times.push(performance.now() - at);
    }
    return {
      ...{ people, hydrate_s: round(hydrateS), memory_mib: round((bytes ?? 0) / 1024 / 1024) },
      question_p50_ms: round(median(times)),
    };
  } finally {
    await place.close();
  }
}
