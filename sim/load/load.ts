import { setTimeout as sleep } from 'node:timers/promises';
import type { Behaviour } from '../behaviour.ts';
import { PhoneFleet } from '../fleet.ts';
import { openLine, type Send } from '../http.ts';
import { KeyPool } from '../keys.ts';
import { Phone } from '../phone.ts';
import { newPhone, type PhoneState } from '../phone-state.ts';
import { PushService } from '../push-service.ts';
import { aimed, mayAim, SimError } from './aim.ts';
import { attackOnce, type Verdict } from './hostile.ts';
import type { Misbehaviour } from './misbehave.ts';
import { makeOdd } from './oddities.ts';
import { type Kept, readState, writeState } from './state.ts';

export interface SimOptions {
  /** Enrolment links, one a phone, or one for all. */
  readonly links: readonly string[];
  /** An enrolment profile instead of links. */
  readonly profile?: Buffer;
  readonly phones: number;
  readonly pollMs: number;
  readonly durationMs: number;
  readonly misbehave: Misbehaviour;
  /** Kept between runs; phones that are enrolled are not enrolled again. */
  readonly stateFile?: string;
  /** Hosts that are not loopback and that the caller owns. */
  readonly owned: readonly string[];
  /** Plays APNs on loopback; phones then poll when they are woken too. Told where it is, and its authority (PEM). */
  readonly onPush?: (where: { url: string; ca: string; certificate: (topic: string) => string }) => void;
  /** Wraps the way out, for servers whose identities the simulation signs. */
  readonly through?: (send: Send) => Send;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface SimSummary {
  readonly phones: number;
  readonly enrolled: number;
  readonly polls: number;
  readonly woken: number;
  readonly commands: number;
  /** Commands carried out more than once by one phone. */
  readonly doubles: number;
  readonly executed: Readonly<Record<string, number>>;
  readonly errors: number;
  /** How often each error was seen, by its words. */
  readonly problems: Readonly<Record<string, number>>;
  readonly attacks: Readonly<Record<string, Readonly<Partial<Record<Verdict, number>>>>>;
  readonly oddities: readonly string[];
  readonly seconds: number;
}

interface Member {
  readonly phone: Phone;
  readonly oddity: string | undefined;
  readonly send: Send;
  last: { url: string; body: Uint8Array; headers: Readonly<Record<string, string>> } | undefined;
}

const PROFILE = 'http://127.0.0.1/profile-file';

/** Phones that enrol, poll and misbehave until the time is over. Throws SimError if it must not or cannot start. */
export async function simulate(options: SimOptions): Promise<SimSummary> {
  const { length } = options.links;
  if (length > 1 && length < options.phones)
    throw new SimError('usage', `There are ${length} links for ${options.phones} phones. Say --phones ${length}.`);
  const startedAt = Date.now();
  const line = openLine({ sockets: 64 });
  const profiled = withProfile(aimed(line.send, options.owned), options.profile);
  const send = options.through?.(profiled) ?? profiled;
  const kept = options.stateFile === undefined ? undefined : readState(options.stateFile);
  const keyPool = new KeyPool();
  const members = Array.from({ length: options.phones }, (_, n) => member(n, options, send, keyPool, kept));
  const problems: Record<string, number> = {};
  const attacks: Record<string, Partial<Record<Verdict, number>>> = {};
  const note = (error: unknown) => {
    const words = error instanceof Error ? error.message : String(error);
    problems[words] = (problems[words] ?? 0) + 1;
  };
  const pending = new Set<Promise<void>>();
  const byPhone = new Map(members.map((one) => [one.phone, one]));
  const fleet = new PhoneFleet(
    members.map(({ phone }) => phone),
    {
      ...{ intervalMs: options.pollMs, concurrency: 32, onError: (_phone, error) => note(error) },
      onChange: (phone) => {
        misbehave(phone.behaviour, options.misbehave);
        for (const name of chosen(options.misbehave.attacks)) {
          const others = members.filter((one) => one.phone !== phone && one.phone.enrolled);
          const other = others[Math.floor(Math.random() * others.length)]?.phone.state ?? phone.state;
          if (name === 'others-udid' && other === phone.state) continue;
          const may = (url: string) => mayAim(url, options.owned);
          const { last } = byPhone.get(phone)!;
          const done = attackOnce(name, { state: phone.state, send, other, last, may }).then((verdict) => {
            attacks[name] ??= {};
            attacks[name][verdict] = (attacks[name][verdict] ?? 0) + 1;
          });
          pending.add(done);
          void done.finally(() => pending.delete(done));
        }
      },
    },
  );
  const save = () => {
    if (options.stateFile === undefined) return;
    const phones = members.map(({ phone, oddity }) => ({
      state: phone.state,
      ...(oddity === undefined ? {} : { oddity }),
    }));
    writeState(options.stateFile, { v: 1, phones });
  };
  const push = await playPush(fleet, options);
  try {
    await keyPool.fill(members.filter(({ phone }) => !phone.enrolled).length);
    const links = options.links.length === 0 ? (options.profile === undefined ? [] : [PROFILE]) : options.links;
    const open = members.filter(({ phone }) => !phone.enrolled).length;
    await fleet.enrol(members.map((_, n) => (links.length === 1 ? links[0]! : links[n]!)));
    save();
    options.say(`${fleet.numbers().enrolled} of ${options.phones} phones are enrolled, ${open} of them were new`);
    if (fleet.numbers().enrolled === 0) return summary();
    for (const { phone } of members) push?.knows(Buffer.from(phone.state.pushToken, 'base64'));
    fleet.start();
    await wait(options, fleet, startedAt);
    await fleet.stop();
    await Promise.all(pending);
    return summary();
  } finally {
    await fleet.stop();
    await Promise.all(pending);
    save();
    await push?.close();
    line.close();
  }

  function summary(): SimSummary {
    const { executed, doubles, ...numbers } = fleet.numbers();
    return {
      ...{ phones: numbers.phones, enrolled: numbers.enrolled, polls: numbers.polls, woken: numbers.woken },
      ...{ commands: numbers.commands, doubles: doublesOf(members), executed: byVerb(members), errors: numbers.errors },
      ...{ problems, attacks, oddities: [...new Set(members.flatMap(({ oddity }) => oddity ?? []))] },
      seconds: Math.round((Date.now() - startedAt) / 100) / 10,
    };
  }
}

function member(n: number, options: SimOptions, send: Send, keyPool: KeyPool, kept: Kept | undefined): Member {
  const before = kept?.phones[n];
  const { oddities } = options.misbehave;
  const oddity = before?.oddity ?? (oddities.length === 0 ? undefined : oddities[n % oddities.length]);
  const fresh: PhoneState = before?.state ?? newPhone({ deviceName: `Simulated ${n + 1}` });
  const made: Member = { oddity, last: undefined } as Member;
  const recorded: Send = (method, url, message) => {
    if (message?.headers?.['mdm-signature'] !== undefined && message.body !== undefined)
      made.last = { url, body: message.body, headers: message.headers };
    return send(method, url, message);
  };
  const odd = oddity === undefined ? undefined : makeOdd(oddity, fresh, recorded);
  // The state of an earlier run has its oddity already.
  const state = before?.state ?? odd?.state ?? fresh;
  const way = before === undefined || oddity === undefined ? odd?.send : makeOdd(oddity, state, recorded).send;
  const phone = new Phone(state, { ...odd?.options, send: way ?? recorded, keyPool, behaviour: {} });
  return Object.assign(made, { phone, send: way ?? recorded });
}

function withProfile(send: Send, profile: Buffer | undefined): Send {
  if (profile === undefined) return send;
  const type = 'application/x-apple-aspen-config';
  return (method, url, message) =>
    url === PROFILE
      ? Promise.resolve({ status: 200, type, headers: { 'content-type': type }, body: profile })
      : send(method, url, message);
}

const chosen = (shares: Readonly<Record<string, number>>): string[] =>
  Object.entries(shares).flatMap(([name, share]) => (Math.random() < share ? [name] : []));

function misbehave(behaviour: Behaviour, { faults }: Misbehaviour): void {
  const drawn = (share: number | undefined) => (share !== undefined && Math.random() < share ? 1 : 0);
  behaviour.notNow = drawn(faults.notnow);
  behaviour.error = { times: drawn(faults.error), code: 12022 };
  behaviour.commandFormatError = drawn(faults.format);
  behaviour.garbage = drawn(faults.garbage);
  behaviour.wrongSignature = drawn(faults['forged-result']);
  behaviour.duplicate = drawn(faults.duplicate);
  behaviour.loseResult = drawn(faults.lose);
}

async function playPush(fleet: PhoneFleet, options: SimOptions): Promise<PushService | undefined> {
  if (options.onPush === undefined) return undefined;
  const service = new PushService();
  const url = await service.listen();
  service.onPush = (pushed) => fleet.wake(pushed);
  options.onPush({ url, ca: service.ca, certificate: (topic) => service.issue(topic) });
  return service;
}

/** Tells the counts every five seconds; ends when the time is over, or earlier if somebody asks. */
async function wait(options: SimOptions, fleet: PhoneFleet, startedAt: number): Promise<void> {
  const endsAt = startedAt + options.durationMs;
  while (Date.now() < endsAt && !options.signal?.aborted) {
    await sleep(
      Math.min(5_000, endsAt - Date.now()),
      undefined,
      options.signal ? { signal: options.signal } : {},
    ).catch(() => {});
    const { enrolled, polls, commands, errors } = fleet.numbers();
    options.say(`${enrolled} enrolled, ${polls} polls, ${commands} commands, ${errors} errors`);
  }
}

function byVerb(members: readonly Member[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const { phone } of members)
    for (const { requestType, times } of Object.values(phone.state.executed))
      out[requestType] = (out[requestType] ?? 0) + times;
  return out;
}

const doublesOf = (members: readonly Member[]): number =>
  members.reduce(
    (sum, { phone }) => sum + Object.values(phone.state.executed).filter(({ times }) => times > 1).length,
    0,
  );
