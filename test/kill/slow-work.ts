import type { Dice } from '../fuzz/dice.ts';
import type { World } from './world.ts';

export const configuration = (identifier: string, note: string) => `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000001</string>
<key>PayloadDisplayName</key><string>${note}</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}.a</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000002</string>
<key>forcePIN</key><true/></dict></array></dict></plist>`;

/** Time does not pass here: some whole phones' certificates near their end, and what is tried later is tried now. */
export async function hurryRenewals(world: World, dice: Dice): Promise<boolean> {
  const { rowCount } = await world.pool.query(
    `update fleet.device set certificate_not_after = now() + interval '50 days' where handle = any($1)
       and state = 'enrolled' and certificate_not_after > now() + interval '90 days'`,
    [world.whole.filter(() => dice.once(4))],
  );
  await hurry(world, dice.once(3));
  return (rowCount ?? 0) > 0;
}

export const hurry = (world: World, sent: boolean) =>
  world.pool.query(
    `update fleet.renewal set next_at = now() where next_at < 'infinity' and (state = 'due' or (state in ('sent', 'issued') and $1))`,
    [sent],
  );

const PLAN = [
  { percent: 10, atLeast: 2, soakHours: 1 },
  { percent: 50, atLeast: 5, soakHours: 1 },
  { percent: 100, atLeast: 0, soakHours: 1 },
];

/** One rollout after the other of one profile to the whole phones; soaks are cut short in the database. */
export class Rollouts {
  started = 0;
  readonly #world: World;
  #profile: string | undefined;
  #version = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Stores and assigns the first version. Before anything dies. */
  async found(): Promise<void> {
    const { profile } = await this.#store();
    this.#profile = profile;
    for (const device of this.#world.whole)
      await this.#world.people[0]!.call('POST', `/api/profiles/${profile}/assignments`, { device });
  }

  async #store(): Promise<{ profile: string; version: string }> {
    this.#version += 1;
    const answer = await this.#world.people[0]!.call('POST', '/api/profiles', {
      profile: configuration('org.example.rollout', `version ${this.#version}`),
    });
    if (answer.status !== 200) throw new Error('the profile was not stored');
    return answer.body as { profile: string; version: string };
  }

  /** Lets the one under way go on, or starts the next. */
  async push(): Promise<boolean> {
    const live = await this.#world.pool.query(
      `update fleet.rollout set soak_until = least(soak_until, now()) where state in ('running', 'paused', 'halted') returning id`,
    );
    if ((live.rowCount ?? 0) > 0) return true;
    const { version } = await this.#store();
    const answer = await this.#world.people[0]!.call('POST', `/api/profiles/${this.#profile}/rollouts`, {
      ...{ version, purpose: 'a test of kills', plan: PLAN, maxErrorPercent: 50 },
    });
    if (answer.status < 300) this.started += 1;
    return answer.status < 300;
  }

  /** Whether the last one is through. What halted for what the kills did is resumed, as a person would who looked at it. */
  async over(): Promise<boolean> {
    const halted = await this.#world.pool.query<{ id: string }>(`select id from fleet.rollout where state = 'halted'`);
    for (const { id } of halted.rows)
      await this.#world.people[0]!.call('POST', `/api/rollouts/${id}/acts`, { act: 'resume' });
    await this.#world.pool.query('update fleet.rollout set soak_until = least(soak_until, now())');
    const { rows } = await this.#world.pool.query<{ live: number }>(
      `select count(*)::int as live from fleet.rollout where state in ('running', 'paused', 'halted')`,
    );
    return rows[0]!.live === 0;
  }
}
