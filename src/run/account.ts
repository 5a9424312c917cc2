import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkAccountSettings } from '#edge';
import { RunError } from './config.ts';
import { type Home, uidOf } from './home.ts';

export interface AccountOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecretFile?: string;
  readonly accountClaim: string;
  readonly handleClaim?: string;
  readonly deviceEnrolment?: string[];
}

/** Writes edge's file about the identity provider, readable by edge alone. Throws RunError or EdgeError. */
export function setAccount(home: Home, options: AccountOptions): void {
  const { clientSecretFile, issuer, clientId, accountClaim, handleClaim, deviceEnrolment } = options;
  let clientSecret: string | undefined;
  try {
    clientSecret = clientSecretFile === undefined ? undefined : readFileSync(clientSecretFile, 'utf8').trim();
  } catch (cause) {
    throw new RunError('usage', 'The file with the client’s secret cannot be read.', { cause });
  }
  const settings = checkAccountSettings({
    ...{ issuer, clientId, accountClaim },
    ...(clientSecret === undefined ? {} : { clientSecret }),
    ...(handleClaim === undefined ? {} : { handleClaim }),
    ...(deviceEnrolment === undefined ? {} : { deviceEnrolment }),
  });
  const file = join(home.state('edge'), 'account.json');
  try {
    writeFileSync(`${file}.new`, JSON.stringify(settings), { mode: 0o600 });
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
  const uid = uidOf('edge');
  if (uid !== undefined) chownSync(`${file}.new`, uid, uid);
  renameSync(`${file}.new`, file);
}
