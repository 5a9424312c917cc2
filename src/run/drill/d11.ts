import { createPrivateKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROCESSES } from '../home.ts';
import { manageFleet } from '../story.ts';
import type { Product } from '../supervisor.ts';
import { attackInside } from './edge-attack.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';

const INSIDE = ['edge', 'console', 'glass'] as const;

/**
 * D11, the hunt for secrets: attacker's code inside edge, console and glass, each with its own uid, memory, files, sockets and login,
 * takes whatever it can reach. In the loot there must be no name, no number, no private key and no password of another process.
 * There is no secret of a directory or a cloud to find: the directory pushes to us.
 */
export async function drillD11({ product, stage, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  await manageFleet(stage);
  let tried = 0;
  const evidence: Record<string, unknown> = {};
  for (const name of INSIDE) {
    const secrets = secretsBeyond(product, name);
    const attacked = await attackInside(product, name, [...stage.planted, ...secrets]);
    tried += attacked.stepsTried;
    steps.add(
      `steps inside ${name} that found a name, a number, a key or a password of others`,
      0,
      attacked.read.length,
    );
    steps.add(`guards whose files ${name} could take`, 0, attacked.guardsTaken.length);
    evidence[name] = { tried: attacked.stepsTried, found: attacked.read, secrets_hunted: secrets.length };
  }
  steps.add('secrets of a directory or a cloud in the configuration of any process', 0, cloudSecrets(product));
  return { ok: steps.ok, steps: steps.all, evidence: { ...evidence, steps_tried: tried } };
}

/** Private keys of every process but this one, and its neighbours' passwords, as text that would be found in any encoding. */
function secretsBeyond(product: Product, name: string): string[] {
  const secrets: string[] = [];
  for (const other of PROCESSES.filter((one) => one !== name)) {
    const config = JSON.parse(readFileSync(product.home.config(other), 'utf8')) as { database?: { password: string } };
    if (config.database !== undefined) secrets.push(config.database.password);
    const state = product.home.state(other);
    for (const file of existsSync(state) ? readdirSync(state) : [])
      if (file.endsWith('.key')) secrets.push(...privatePart(readFileSync(join(state, file))));
  }
  return secrets.filter((one) => Buffer.byteLength(one) >= 6);
}

/** The secret number of a private key in two forms, or of a file of plain secret bytes its beginning. */
function privatePart(bytes: Buffer): string[] {
  let secret = bytes.subarray(0, 32);
  try {
    const key = bytes.toString('latin1').startsWith('-----')
      ? createPrivateKey(bytes)
      : createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' });
    secret = Buffer.from(String(key.export({ format: 'jwk' })['d']), 'base64url');
  } catch {
    // secret bytes that are no key pair
  }
  return [secret.toString('hex'), secret.toString('base64url').replace(/=+$/, '')];
}

/** Configuration members that would hold what opens a directory or a cloud. */
function cloudSecrets(product: Product): number {
  const suspicious = /bind|ldap|graph|tenant|aws_|azure|service_account|client_secret/i;
  return PROCESSES.filter((name) => suspicious.test(readFileSync(product.home.config(name), 'utf8'))).length;
}
