import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { pushObstacle } from '#fleet';
import { RunError } from './config.ts';
import { defaultHome, openHome } from './home.ts';
import { installPush, pushStatus } from './push.ts';

const DAY_MS = 86_400_000;
const say = (line: string) => process.stdout.write(`${line}\n`);

const readText = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new RunError('usage', 'The file cannot be read.', { cause });
  }
};

/** `bartizan push install|status`. */
export function pushCommands(program: Command): void {
  const push = program.command('push').description('the certificate with which phones are woken (APNs)');
  push
    .command('install')
    .description('check a push certificate with its key and hand it to the running product; no restart')
    .argument('<pem>', 'certificate from Apple’s Push Certificates Portal and its private key, both PEM, in one file')
    .option('--adopt-topic', 'take over the certificate’s topic where no device is enrolled for another', false)
    .option('--home <dir>', 'instance directory')
    .action(async (file: string, options: { adoptTopic: boolean; home?: string }) => {
      const { home = defaultHome(), adoptTopic } = options;
      const done = await installPush(openHome(home), readText(file), { adoptTopic });
      say(`Installed for the topic ${done.topic}, valid until ${done.notAfter.toISOString().slice(0, 10)}.`);
      if (done.restart) say('The topic is new here. Restart Bartizan now: until then no push is sent.');
      else if (done.canary === 'accepted') say('APNs accepts it (asked with a push for a device that cannot exist).');
      else if (done.canary === undefined) say('Core has not tried it yet: see "bartizan push status" in a moment.');
      else {
        say(`APNs does NOT accept it: ${done.canary}.`);
        process.exitCode = 1;
      }
    });
  push
    .command('status')
    .description('topic, days left, the last canary, and what waits')
    .option('--home <dir>', 'instance directory')
    .option('--json', 'one JSON object', false)
    .action(async ({ home = defaultHome(), json }: { home?: string; json: boolean }) => {
      const status = await pushStatus(openHome(home));
      const { certificate } = status;
      const obstacle = pushObstacle(certificate);
      const left = certificate?.notAfter
        ? Math.floor((certificate.notAfter.getTime() - Date.now()) / DAY_MS)
        : undefined;
      if (json) say(JSON.stringify({ ...status, daysLeft: left ?? null, obstacle }));
      else {
        say(`endpoint ${status.endpoint}, topic ${status.topic}`);
        if (left !== undefined) say(`certificate: ${left} days left`);
        if (certificate !== null) say(`canary: ${certificate.canary} at ${certificate.canaryAt.toISOString()}`);
        for (const { state, reason, devices } of status.pushes)
          say(`${devices} devices: ${state}${reason === null ? '' : ` (${reason})`}`);
        say(obstacle === null ? 'APNs takes our pushes' : `NO PUSH GETS THROUGH: ${obstacle}`);
      }
      process.exitCode = obstacle === null ? 0 : 1;
    });
}

/** The endpoint that `bartizan start` is told, if it is not Apple's own. Throws RunError. */
export function pushEndpoint(
  url: string | undefined,
  caFile: string | undefined,
): { url: string; ca?: string } | undefined {
  if (url === undefined) {
    if (caFile !== undefined) throw new RunError('usage', 'Give --push-ca together with --push-url only.');
    return undefined;
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'https:' || parsed.origin !== url.replace(/\/$/, '')) {
    throw new RunError('usage', 'The push service is an origin such as https://api.push.apple.com:2197.');
  }
  return { url: parsed.origin, ...(caFile === undefined ? {} : { ca: readText(caFile) }) };
}

/** Where core reads the list of system versions. Throws RunError `usage` if it is not an https address. */
export function releaseFeed(url: string, caFile: string | undefined): { url: string; ca?: string } {
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new RunError('usage', 'The list of system versions is read over https only.');
  return { url, ...(caFile === undefined ? {} : { ca: readText(caFile) }) };
}
