import { type Command, Option } from 'commander';
import { setDevicePlane } from './device-plane.ts';
import { defaultHome, openHome } from './home.ts';

interface Given {
  readonly home?: string;
  readonly userChannels?: 'on' | 'off';
  readonly bootstrapToken?: 'on' | 'off';
  readonly signProfiles?: 'on' | 'off';
  readonly legacy?: 'count' | 'refuse';
  readonly downloads?: number;
  readonly downloadRate?: number;
}

/** `bartizan settings device-plane`: shows and changes what edge answers; holds from the next start. */
export function settingsCommands(program: Command): void {
  const flag = (name: string, what: string) => new Option(`--${name} <on|off>`, what).choices(['on', 'off']);
  program
    .command('settings')
    .description('settings of this installation, kept for later starts')
    .command('device-plane')
    .description('what edge answers where Apple leaves it to the organisation')
    .addOption(flag('user-channels', 'channels for the users of a device (UserAuthenticate); default off'))
    .addOption(flag('bootstrap-token', 'hand out bootstrap tokens that were released on glass; default on'))
    .addOption(flag('sign-profiles', 'sign enrolment profiles; default on'))
    .addOption(
      new Option('--legacy <what>', 'SHA-1, DES and 3DES from devices: accept and count, or refuse').choices([
        'count',
        'refuse',
      ]),
    )
    .option('--downloads <n>', 'app packages that go out at once; default 24', Number)
    .option('--download-rate <mib>', 'MiB a second for all app packages together; default 32', Number)
    .option('--home <dir>', 'instance directory')
    .action(
      ({
        home = defaultHome(),
        userChannels,
        bootstrapToken,
        signProfiles,
        legacy,
        downloads,
        downloadRate,
      }: Given) => {
        const now = setDevicePlane(openHome(home), {
          ...(userChannels === undefined ? {} : { userAuthenticate: userChannels === 'on' }),
          ...(bootstrapToken === undefined ? {} : { bootstrapToken: bootstrapToken === 'on' }),
          ...(signProfiles === undefined ? {} : { signProfiles: signProfiles === 'on' }),
          ...(legacy === undefined ? {} : { legacy }),
          ...(downloads === undefined ? {} : { downloadsAtOnce: downloads }),
          ...(downloadRate === undefined ? {} : { downloadMibPerSecond: downloadRate }),
        });
        const word = (on: boolean | undefined) => (on ? 'on' : 'off');
        const lines = [
          `user channels: ${word(now.userAuthenticate)}`,
          `bootstrap token: ${word(now.bootstrapToken)}`,
          `signed profiles: ${word(now.signProfiles)}`,
          `legacy cryptography: ${now.legacy}`,
          `app packages: ${now.downloadsAtOnce ?? 24} at once, ${now.downloadMibPerSecond ?? 32} MiB a second`,
          'This holds from the next start.',
        ];
        process.stdout.write(`${lines.join('\n')}\n`);
      },
    );
}
