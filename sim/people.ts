/** One invented member of staff. Nobody of this name is meant; the numbers belong to ranges reserved for fiction. */
export interface InventedPerson {
  readonly given: string;
  readonly family: string;
  readonly email: string;
  /** E.164. */
  readonly mobile: string;
  readonly unit: string;
  /** ISO 3166-1 alpha-2 of an EU member state. */
  readonly memberState: string;
}

/** Names by language, with the member states where it is spoken. Family names are six letters or more, so that a find is a find. */
const LANGUAGES: readonly { readonly states: string; readonly given: string; readonly family: string }[] = [
  {
    states: 'SE FI',
    given: 'Åsa Örjan Maja Linnéa Björn Göran',
    family: 'Lindqvist Sjöström Hägglund Bergström Åkerblom',
  },
  {
    states: 'DE AT',
    given: 'Jürgen Käthe Anselm Wiebke Günther',
    family: 'Müßiggang Schönebeck Krähenbühl Oberländer Wörlitz',
  },
  {
    states: 'FR BE LU',
    given: 'Élodie Benoît Maëlle Gaspard Héloïse',
    family: 'Lefèvrier Beauchêne Desrosières Montfaucon',
  },
  { states: 'PL', given: 'Łucja Zdzisław Małgorzata Bożena', family: 'Wąsowicz Brzęczyński Śliwińska Źdźbłowski' },
  { states: 'CZ SK', given: 'Jiří Božena Květa Řehoř', family: 'Dvořáček Šťastnovský Kučerová Hruškovec' },
  { states: 'ES', given: 'Íñigo Begoña Nuria Álvaro', family: 'Ibáñezcano Montañés Peñalver Güemesino' },
  { states: 'PT', given: 'João Conceição Inês Gonçalo', family: 'Magalhãesto Carvalhais Conceiçãoto' },
  { states: 'IT', given: 'Nicolò Beatrice Ludovica Gioele', family: 'Quattromani Bellagamba Montefusco Passalacqua' },
  { states: 'GR CY', given: 'Ελένη Αντώνης Κατερίνα Σπύρος', family: 'Παπαγιάννης Καραμήτρος Βασιλάκου' },
  { states: 'BG', given: 'Радостин Десислава Божидар', family: 'Стоименова Каменаров Градинарска' },
  { states: 'IE MT', given: "Siobhán Pádraig Aoife D'Arcy", family: "O'Shaughnally MacGiolla Fenwickham" },
  { states: 'NL', given: 'Joost Liesbeth Maartje Wouter', family: 'Hoogendoorn Zuidervaart Blekemolen' },
  { states: 'DK', given: 'Søren Mette Rasmus Ærø', family: 'Kjærbølling Østergårdh Nørrelund' },
  { states: 'RO', given: 'Ștefania Ionuț Ilinca Răzvan', family: 'Țepeșariu Brâncovanu Șerbănoiu' },
  { states: 'HU', given: 'Zsófia Győző Piroska Ödön', family: 'Szőllősházi Kővágóvári Nagybányai' },
  { states: 'HR SI', given: 'Željka Hrvoje Dunja Živa', family: 'Čuvalović Štrukelj Žnidarovič' },
  { states: 'EE LV LT', given: 'Ülle Jānis Žydrūnė Mõtus', family: 'Õunapuula Bērziņšal Kazlauskienė' },
];
const UNITS = 'Registry|Translation|Field Inspection|Procurement|Legal Service|Digital Services|Communication|Security';

/** A small deterministic generator (mulberry32): the same seed gives the same people on every machine. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const GREEK = 'αβγδεζηθικλμνξοπρσςτυφχψω';
const GREEK_LATIN = 'a b g d e z i th i k l m n x o p r s s t y f ch ps o'.split(' ');
const CYRILLIC = 'абвгдежзийклмнопрстуфхцчшщъьюя';
const CYRILLIC_LATIN = 'a b v g d e zh z i y k l m n o p r s t u f h ts ch sh sht a y yu ya'.split(' ');
const SPECIAL: Readonly<Record<string, string>> = { ł: 'l', ø: 'o', æ: 'ae', ß: 'ss', đ: 'd' };

function ascii(name: string): string {
  const letters = [...name.toLowerCase().normalize('NFD').replace(/\p{M}/gu, '').normalize('NFC')];
  const latin = letters.map((letter) => {
    const greek = GREEK.indexOf(letter);
    if (greek >= 0) return GREEK_LATIN[greek]!;
    const cyrillic = CYRILLIC.indexOf(letter);
    if (cyrillic >= 0) return CYRILLIC_LATIN[cyrillic]!;
    return SPECIAL[letter] ?? letter;
  });
  return latin.join('').replace(/[^a-z]/g, '');
}

/** Every ninth number is +44 7700 900xxx while they last, the others +33 6 39 98 xx xx: unique for 10 000 people. */
function fictionNumber(index: number): string {
  const british = Math.floor(index / 9);
  if (index % 9 === 8 && british < 1000) return `+447700900${String(british).padStart(3, '0')}`;
  return `+3363998${String((index * 7919) % 10_000).padStart(4, '0')}`;
}

/**
 * Invents `count` members of staff, at most 10 000. Deterministic: the same `seed` gives the same people.
 * Throws RangeError beyond the numbers reserved for fiction.
 */
export function inventPeople(count: number, seed = 1): InventedPerson[] {
  if (!Number.isInteger(count) || count < 0 || count > 10_000) {
    throw new RangeError('between 0 and 10000 people can be invented');
  }
  const below = generator(seed);
  const pick = (list: readonly string[]): string => list[below(list.length)]!;
  const taken = new Map<string, number>();
  return Array.from({ length: count }, (_, index) => {
    const language = LANGUAGES[below(LANGUAGES.length)]!;
    const given = pick(language.given.split(' '));
    const family = pick(language.family.split(' '));
    const local = `${ascii(given)}.${ascii(family)}`;
    const before = taken.get(local) ?? 0;
    taken.set(local, before + 1);
    return {
      given,
      family,
      email: `${local}${before === 0 ? '' : before + 1}@example.org`,
      mobile: fictionNumber(index),
      unit: pick(UNITS.split('|')),
      memberState: pick(language.states.split(' ')),
    };
  });
}

const cell = (value: string) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/** CSV after RFC 4180 with header `given_name,family_name,email,mobile,unit,member_state`, UTF-8, CRLF. */
export function peopleCsv(people: readonly InventedPerson[]): string {
  const rows = people.map((person) => [
    person.given,
    person.family,
    person.email,
    person.mobile,
    person.unit,
    person.memberState,
  ]);
  const header = ['given_name', 'family_name', 'email', 'mobile', 'unit', 'member_state'];
  return [header, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** The name a phone bears out of its box, such as `Maja's iPhone`. */
export function ownersDeviceName(person: InventedPerson, kind: 'iPhone' | 'iPad' = 'iPhone'): string {
  return `${person.given} ${person.family}\u2019s ${kind}`;
}

/** What a device holds that must never leave it in the clear. */
export interface PlantedDevice {
  readonly deviceName: string;
  readonly phoneNumber: string;
}

/**
 * All values that must not be found outside their ciphertext: full and family names, e-mail addresses, numbers with and
 * without prefix and device names. Unique; index = the hunt's value number.
 */
export function plantedValues(people: readonly InventedPerson[], devices: readonly PlantedDevice[] = []): string[] {
  const numbers = (e164: string) => (e164 === '' ? [] : [e164, e164.slice(3), `0${e164.slice(3)}`]);
  const values = [
    ...people.flatMap((person) => [
      `${person.given} ${person.family}`,
      person.family,
      person.email,
      ...numbers(person.mobile),
    ]),
    ...devices.flatMap((device) => [device.deviceName, ...numbers(device.phoneNumber)]),
  ];
  return [...new Set(values)].filter((value) => Buffer.byteLength(value) >= 6);
}
