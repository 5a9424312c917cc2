import { Alarms, checkAlarms } from '#alarm';
import { type DatabaseConfig, openPool } from '#store';

// Sends alerts until it is killed, as courier does: `node alarms-child.ts DATABASE SETTINGS`.
const [database, settings] = process.argv.slice(2) as [string, string];
const log = { info() {}, warn() {}, error() {} };
const alarms = new Alarms({
  ...{
    pool: openPool(JSON.parse(database) as DatabaseConfig, { max: 4 }),
    console: 'https://console.example',
    organisation: 'org-test',
  },
  ...{ now: Date.now, log },
});
await alarms.use(checkAlarms(JSON.parse(settings)));
process.stdout.write('ready\n');
for (;;) if ((await alarms.step()) === 0) await new Promise((done) => setTimeout(done, 20));
