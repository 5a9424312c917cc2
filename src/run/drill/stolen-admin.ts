import { setTimeout as sleep } from 'node:timers/promises';
import { newPersonHandle } from '#base';
import { newPasskey } from '#sim';
import { allOf, Person } from '../person.ts';

export interface StolenAdmin {
  /** Distinct people whose value the thief holds in clear. */
  readonly recordsRead: number;
  readonly cookieAloneRead: number;
  readonly wipesRequested: number;
  readonly wipeAnswers: readonly number[];
  readonly newAdminRefused: boolean;
  /** True if the thief's session and passkey are both worth nothing at the end. */
  readonly cutOff: boolean;
  readonly startedAt: number;
}

/**
 * (b) A thief with a console session, and then with the whole account, passkey included: reads as fast as he can, asks to
 * wipe every device, tries to make himself a new admin. Bounded: at most 40 grants.
 */
export async function stealAdmin(victim: Person): Promise<StolenAdmin> {
  const startedAt = Date.now();
  const people = (await allOf<{ handle: string }>(victim, '/api/people')).map((person) => person.handle);
  const devices = (await allOf<{ handle: string; state: string }>(victim, '/api/devices'))
    .filter((d) => d.state === 'enrolled')
    .map((d) => d.handle);

  // A cookie without the passkey: grants signed by a key of the thief's own.
  const cookieThief = new Person(victim.origins, victim.admin, newPasskey());
  cookieThief.cookie = victim.cookie;
  const withCookie = await cookieThief.reveal('number', people.slice(0, 5), 'looking around');

  const loot = new Map<string, string>();
  const wipeAll = () =>
    victim.call('POST', '/api/intents', {
      verb: 'EraseDevice',
      devices,
      params: {},
      purpose: 'replacing all devices',
    });
  let asked: ReturnType<typeof wipeAll> | undefined;
  let refusedInARow = 0;
  for (let at = 0, grants = 0; grants < 40 && refusedInARow < 4; grants += 1) {
    // While he still reads, he asks to have everything erased: the session will not live long.
    if (grants === 4) asked = wipeAll();
    // One at a time at first, as somebody who wants to stay unseen; then all that a touch gives.
    const size = grants < 8 ? 1 : Math.max(1, Math.min(5, people.length - at));
    const { values, answer } = await victim.reveal('number', people.slice(at, at + size), 'checking contact data');
    for (const [subject, value] of Object.entries(values)) loot.set(subject, value);
    if (answer.status === 200) refusedInARow = 0;
    else refusedInARow += 1;
    at = (at + size) % people.length;
  }

  const wipe = await (asked ?? wipeAll());
  const approval = wipe.body['approval'];
  const answers = [wipe.status];
  if (typeof approval === 'string') {
    answers.push((await victim.approve(approval)).status);
    // Signing twice, and with a key nobody pinned, under an invented name.
    answers.push((await victim.approve(approval)).status);
    answers.push((await new Person(victim.origins, newPersonHandle(), newPasskey()).approve(approval)).status);
  }
  const invited = await victim.call('POST', '/api/admins/invitations', {
    admin: newPersonHandle(),
    role: 'administrator',
    purpose: 'a new colleague',
  });
  const link = String(invited.body['link'] ?? '');
  const token = new URLSearchParams(link.split('#')[1] ?? '').get('join') ?? 'A'.repeat(43);
  const own = new Person(victim.origins, newPersonHandle());
  const joined = await own.join(token);

  await sleep(1_500);
  const afterwards = await victim.reveal('name', people.slice(0, 1), 'still here?');
  const session = await victim.call('GET', '/api/people');
  return {
    recordsRead: loot.size,
    cookieAloneRead: Object.keys(withCookie.values).length,
    wipesRequested: wipe.status < 300 ? devices.length : 0,
    wipeAnswers: answers,
    newAdminRefused: joined.status !== 200,
    cutOff: afterwards.answer.status !== 200 && session.status === 401,
    startedAt,
  };
}
