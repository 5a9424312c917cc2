import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { adeState, expectHolders, readHolderList } from '#fleet';
import { emit } from '#log';
import { unknownPeople } from '#people';
import { type Pool, tx } from '#store';
import { RunError } from './config.ts';
import { defaultHome, type Home, openHome } from './home.ts';
import { withDatabase } from './push.ts';

const DAY_MS = 86_400_000;
const PATIENCE_MS = 30_000;
const say = (line: string) => process.stdout.write(`${line}\n`);

const readBytes = (file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new RunError('usage', 'The file cannot be read.', { cause });
  }
};

/** What core says of device assignment now. */
type State = Awaited<ReturnType<typeof adeState>> & {
  readonly orgName: string | null;
  readonly serverName: string | null;
  readonly tokenNotAfter: Date | null;
  readonly syncedAt: Date | null;
  readonly problem: string | null;
  readonly profileUuid: string | null;
};
const look = async (pool: Pool) => (await adeState(pool, 0)) as State;

/** Asks the running core for something and waits until it is done. Throws RunError. */
async function until<T>(what: () => Promise<T | undefined>, patienceMs = PATIENCE_MS): Promise<T> {
  for (const end = Date.now() + patienceMs; ; await sleep(200)) {
    const found = await what();
    if (found !== undefined) return found;
    if (Date.now() > end)
      throw new RunError(
        'no-answer',
        'Core has not done it yet. Is Bartizan running? See "bartizan ade status" later.',
      );
  }
}

/** The certificate that Apple encrypts tokens to; core makes the key pair if there is none. */
export async function adeCertificate(home: Home, patienceMs?: number): Promise<string> {
  return withDatabase(home, async (pool) => {
    if ((await look(pool)).certificate === null) {
      await tx(pool, async (t) => {
        await t.query('update fleet.ade_server set key_wanted = true, next_at = now()');
        await emit(t, { kind: 'ade.asked', actor: 'operator', detail: { what: 'key' } });
        await t.query("select pg_notify('bartizan_work', '')");
      });
    }
    return until(async () => (await look(pool)).certificate ?? undefined, patienceMs);
  });
}

/** Hands a server token to core, as Apple encrypted it, and waits for what the service says of it. */
export async function handOverAdeToken(home: Home, token: Buffer, patienceMs?: number): Promise<State> {
  if (token.length === 0 || token.length > 65_536)
    throw new RunError('usage', 'This is not a server token (.p7m) of Apple Business Manager.');
  return withDatabase(home, async (pool) => {
    await tx(pool, async (t) => {
      await t.query(
        `update fleet.ade_server set upload = $1, upload_by = 'operator', next_at = now(), problem = null, problem_at = null`,
        [token],
      );
      await emit(t, { kind: 'ade.asked', actor: 'operator', detail: { what: 'token' } });
      await t.query("select pg_notify('bartizan_work', '')");
    });
    return until(async () => {
      const { rows } = await pool.query<{ waits: boolean }>('select upload is not null as waits from fleet.ade_server');
      return rows[0]!.waits ? undefined : look(pool);
    }, patienceMs);
  });
}

/** What an operator must know at a glance; `ok` if devices can be assigned. */
export async function adeStatus(home: Home, now: number) {
  return withDatabase(home, async (pool) => {
    const { tokenNotAfter, syncedAt, problem, orgName, serverName, profileUuid, total, assigned, held, expected } =
      await look(pool);
    const daysLeft = tokenNotAfter === null ? null : Math.floor((tokenNotAfter.getTime() - now) / DAY_MS);
    const ok = problem === null && daysLeft !== null && daysLeft >= 0;
    return {
      ...{ ok, orgName, serverName, tokenNotAfter, daysLeft, syncedAt, problem },
      ...{ profile: profileUuid !== null, devices: total, assigned, held, expected },
    };
  });
}

/** Names holders from a list. Throws RunError or FleetError. */
export async function nameHolders(home: Home, csv: string) {
  const { named, refused } = readHolderList(csv);
  return withDatabase(home, (pool) =>
    tx(pool, async (t) => {
      const nobody = new Set(await unknownPeople(t, [...new Set(named.map(({ holder }) => holder))]));
      const known = named.filter(({ holder }) => !nobody.has(holder));
      return { ...(await expectHolders(t, { named: known, by: 'operator' })), refused, nobody: [...nobody] };
    }),
  );
}

const word = (problem: string) => problem.replaceAll('_', ' ');

/** `bartizan ade key|token|status|holders`. */
export function adeCommands(program: Command): void {
  const ade = program.command('ade').description('Apple’s device assignment service (automated device enrolment)');
  ade
    .command('key')
    .description('print the certificate for a new server in Apple Business Manager; core keeps its key')
    .option('--home <dir>', 'instance directory')
    .action(async ({ home = defaultHome() }: { home?: string }) => {
      process.stdout.write(await adeCertificate(openHome(home)));
    });
  ade
    .command('token')
    .description('hand the server token that Apple Business Manager gave out (.p7m) to the running product')
    .argument('<file>', 'server token, as it was downloaded: encrypted to our certificate')
    .option('--home <dir>', 'instance directory')
    .action(async (file: string, { home = defaultHome() }: { home?: string }) => {
      const state = await handOverAdeToken(openHome(home), readBytes(file));
      if (state.problem !== null || state.tokenNotAfter === null) {
        say(`The token is NOT in use: ${word(state.problem ?? 'it was not taken')}.`);
        process.exitCode = 1;
      } else {
        say(
          `In use for ${state.orgName ?? 'the organisation'}, valid until ${state.tokenNotAfter.toISOString().slice(0, 10)}.`,
        );
        say('Core fetches the devices now: see "bartizan ade status".');
      }
    });
  ade
    .command('status')
    .description('days left, the last sync, devices and profile assignments; exit status 1 if something is wrong')
    .option('--json', 'one JSON object', false)
    .option('--home <dir>', 'instance directory')
    .action(async ({ home = defaultHome(), json }: { home?: string; json: boolean }) => {
      const status = await adeStatus(openHome(home), Date.now());
      if (json) say(JSON.stringify(status));
      else {
        say(
          status.daysLeft === null
            ? 'no server token yet: "bartizan ade key", then "bartizan ade token FILE"'
            : `token of ${status.orgName ?? 'the organisation'}: ${status.daysLeft} days left`,
        );
        say(`last sync: ${status.syncedAt?.toISOString() ?? 'never'}`);
        say(`devices: ${status.devices}, ${status.assigned} with our profile, ${status.held} with a holder`);
        if (status.expected > 0) say(`holders that wait for their serial numbers: ${status.expected}`);
        if (status.problem !== null) say(`TROUBLE: ${word(status.problem)}`);
      }
      process.exitCode = status.ok ? 0 : 1;
    });
  ade
    .command('holders')
    .description('name the holders of serial numbers, before or after the devices enrol')
    .argument('<file>', 'CSV, serial,handle a line; handles of the directory, never names')
    .option('--home <dir>', 'instance directory')
    .action(async (file: string, { home = defaultHome() }: { home?: string }) => {
      const done = await nameHolders(openHome(home), readBytes(file).toString('utf8'));
      say(`${done.given} devices have a new holder, ${done.same} the same; ${done.waits} wait for Apple to name them.`);
      for (const { line, why } of done.refused) say(`line ${line} was left out: ${why}`);
      for (const handle of done.nobody) say(`nobody in the directory is ${handle}: its lines were left out`);
      for (const serial of done.own) say(`${serial} is its holder’s own and stays so`);
      process.exitCode = done.refused.length + done.nobody.length + done.own.length === 0 ? 0 : 1;
    });
}
