import { advanceRetirements } from '#fleet';
import { type DatabaseConfig, openPool } from '#store';

// Run as a process of its own and killed at a random moment: core's retire loop and nothing else.
const pool = openPool(JSON.parse(process.env['RETIRE_DATABASE']!) as DatabaseConfig, { max: 2 });
process.stdout.write('open\n');
for (;;) {
  await advanceRetirements(pool);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
