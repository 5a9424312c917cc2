import { canonicalJson, type Json, sha256, toBase64url } from '#base';
import { CUSTODIANS, RAISE_DELAY_MS, type RosterView, SEALED_KEYS, type SealedState } from '#seal';
import type { Gate } from './gate.ts';
import { isDue, sealedAs } from './roster-state.ts';
import { standing } from './standing.ts';

/** What both guards must agree on: who holds which key in which role, how many it takes, and of which version this is. */
export function rosterDigest(gate: Gate): string {
  const { keys, roster } = gate.state;
  const lines = [...keys.values()].map(({ admin, role, credential, publicKey }) => [
    admin,
    role,
    credential,
    publicKey,
  ]);
  const sealed = [...roster.sealed.values()].map(({ name, credential, publicKey }) => [name, credential, publicKey]);
  const sorted = (rows: string[][]) => rows.sort((a, b) => (a.join() < b.join() ? -1 : 1));
  const whole: Json = [roster.version, roster.threshold, sorted(lines), sorted(sealed)];
  return toBase64url(sha256(canonicalJson(whole)));
}

function sealedState(gate: Gate): SealedState {
  const { roster } = gate.state;
  const [now, lived] = [gate.time.now(), gate.time.lived()];
  if (roster.opening?.credentials.some((credential) => roster.opened(credential, now, lived) !== undefined))
    return 'open';
  if (!roster.registered) return roster.opening === undefined ? 'none' : 'spent';
  const names = new Set([...roster.sealed.values()].map(({ name }) => name));
  const all = [...SEALED_KEYS, ...CUSTODIANS].every((name) => names.has(name));
  return all ? 'sealed' : 'registering';
}

/** A guard's roster as pages show it. */
export function rosterView(gate: Gate): RosterView {
  const { roster } = gate.state;
  const [now, lived] = [gate.time.now(), gate.time.lived()];
  const raises = Object.entries(roster.raises)
    .filter(([, waiting]) => !isDue(waiting, now, lived))
    .map(([cap, { to, at, lived: since }]) => ({
      cap: cap as keyof typeof roster.raises,
      ...{ to, at, from: Math.max(at + RAISE_DELAY_MS, now + since + RAISE_DELAY_MS - lived) },
    }));
  const { opening } = roster;
  return {
    version: roster.version,
    threshold: roster.threshold,
    digest: rosterDigest(gate),
    able: [...standing(gate.state, now, lived).able].sort(),
    raises,
    seen: Object.fromEntries(roster.seen),
    breakGlass: {
      state: sealedState(gate),
      enrolled: [...roster.sealed.values()].map(({ name }) => name).sort(),
      opening: opening?.id ?? null,
      until: opening === undefined || opening.until === 0 ? null : opening.until,
      left: roster.left,
      reviewed: roster.reviewed,
      drilledAt: roster.drilledAt ?? null,
    },
    opened: [...roster.sealed.values()]
      .filter(({ credential }) => roster.opened(credential, now, lived) !== undefined)
      .map(sealedAs),
    recovery: roster.recovery !== undefined,
  };
}
