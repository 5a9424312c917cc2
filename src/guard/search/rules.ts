import { toBase64url } from '#base';
import {
  type Assertion,
  challengeOf,
  type Dehydrate,
  type Hydrate,
  type RosterKey,
  type Search,
  type Searched,
} from '#seal';
import { type Gate, REFUSED, Refusal } from '../gate.ts';
import type { Effect } from '../state.ts';
import { HOUR, MINUTE } from '../time.ts';

/** How long, at most, each search may stay open; what is absent is switched off. */
export type SearchSettings = { readonly [field in Searched]?: { readonly hours: number } };

/** One question of those that a touch allows. */
export interface Question {
  readonly search: Search;
  readonly assertion: Assertion;
  /** From 1, upward: none is asked twice. */
  readonly seq: number;
}

const used = (message: string, admin: string) => new Refusal('used', message, admin);

const GRANT_LIFE = 10 * MINUTE;

/** Who touched for a search, if the directory is open to them now. Throws Refusal. */
export function askedBy(gate: Gate, document: Search | Dehydrate, assertion: Assertion): RosterKey {
  if (document.op === 'search' && gate.state.locked('directory')) {
    throw new Refusal('locked', 'The directory is locked.');
  }
  const key = gate.signer(document, assertion);
  const refuse = (message: string) => new Refusal('refused', message, key.admin);
  if (key.admin !== document.admin) throw refuse(REFUSED);
  if (key.role === 'dpo') throw refuse('This role does not read the directory.');
  gate.mustBeOpen(key, document.id);
  gate.fresh(document, GRANT_LIFE, gate.time.now(), key.admin);
  return key;
}

/**
 * One question under a touch: may it be answered, and what does it count? Both guards decide it, each with its own memory,
 * before they await anything. `count` is at least 1: to ask for nobody is to ask. Throws Refusal.
 */
export function askSearch(
  gate: Gate,
  question: Question,
  count: number,
): { admin: string; effects: readonly Effect[] } {
  const { search, assertion, seq } = question;
  const { state } = gate;
  const [at, lived] = [gate.time.metered(), gate.time.lived()];
  const { admin } = askedBy(gate, search, assertion);
  const sha256 = toBase64url(challengeOf(search));
  const before = state.searches.grant(search.id);
  if (before === undefined ? state.used.has(search.id) : before.sha256 !== sha256) {
    throw used('This grant was used before. Touch the passkey again.', admin);
  }
  if (seq <= (before?.seq ?? 0)) throw used('This question was asked before.', admin);
  const cap = (which: string) => new Refusal('cap', 'A reading limit is reached.', admin, which);
  if (search.cap > gate.caps.perTouch || (before?.count ?? 0) + count > search.cap) throw cap('perTouch');
  const charges: Effect[] = [];
  if (search.field === 'number') {
    if (state.searches.evaluationsLeft(admin, at) < count) throw cap('perHour');
  } else {
    const charge = { admin, field: search.field, count, at, lived };
    const reached = state.meters.refusal(charge, gate.caps);
    if (reached !== undefined) throw cap(reached);
    // Beyond the organisation's day a second person signs each reveal; a search is one person's.
    if (state.meters.signers(charge, gate.caps) > 1) throw cap('orgPerDay');
    charges.push({ e: 'charge', ...charge });
  }
  const { id: grant, notAfter, field } = search;
  const asked: Effect = {
    e: 'search',
    change: { what: 'asked', grant, sha256, notAfter, seq, count, admin, field, at },
  };
  return { admin, effects: [asked, ...charges] };
}

/** Two people open a search. Opening again what they opened by the same document does nothing. Throws Refusal. */
export function openSearch(
  gate: Gate,
  document: Hydrate,
  assertions: readonly Assertion[],
  settings: SearchSettings,
): { signers: readonly string[]; effects: readonly Effect[]; repeated: boolean } {
  const now = gate.time.now();
  const most = settings[document.field]?.hours;
  if (most === undefined) throw new Refusal('off', 'This search is switched off here.');
  if (document.hours > most) throw new Refusal('refused', `This search stays open for ${most} hours at most.`);
  if (gate.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
  if (gate.state.searches.open(document.field, now)?.session === document.id && gate.seen(document)) {
    return { signers: [], effects: [], repeated: true };
  }
  const { signers, effects } = gate.approve(document, assertions);
  const until = now + document.hours * HOUR;
  const opened: Effect = {
    e: 'search',
    change: { what: 'opened', field: document.field, session: document.id, until },
  };
  return { signers, effects: [...effects, opened], repeated: false };
}

/** One administrator closes it. Throws Refusal. */
export function closeSearch(gate: Gate, document: Dehydrate, assertion: Assertion): readonly Effect[] {
  const key = askedBy(gate, document, assertion);
  if (key.role !== 'administrator') throw new Refusal('refused', 'This role does not close the search.', key.admin);
  if (gate.state.used.has(document.id)) throw used('This was signed and used before.', key.admin);
  const { id, notAfter, field } = document;
  return [
    { e: 'used', id, notAfter, sha256: toBase64url(challengeOf(document)) },
    { e: 'search', change: { what: 'closed', field } },
  ];
}
