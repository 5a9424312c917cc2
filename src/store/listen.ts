import pg from 'pg';
import type { DatabaseConfig } from './pool.ts';

/**
 * Calls `onHint` whenever `channel` is notified, and once after every (re)connection, because hints sent meanwhile are
 * lost. A hint only: whoever listens polls as well. Hints are coalesced to one per `spacingMs` (default 20).
 */
export function listen(
  config: DatabaseConfig,
  channel: string,
  onHint: () => void,
  spacingMs = 20,
): { close(): Promise<void> } {
  let client: pg.Client | undefined;
  let closed = false;
  let waitMs = 100;
  let pending: NodeJS.Timeout | undefined;
  let retry: NodeJS.Timeout | undefined;

  const hint = () => {
    pending ??= setTimeout(() => {
      pending = undefined;
      if (!closed) onHint();
    }, spacingMs);
  };
  const again = () => {
    if (closed) return;
    client = undefined;
    clearTimeout(retry);
    retry = setTimeout(open, waitMs);
    waitMs = Math.min(waitMs * 2, 5_000);
  };
  const open = () => {
    const made = new pg.Client({ ...config, application_name: `${config.user} listen` });
    client = made;
    let lost = false;
    const lose = () => {
      if (lost) return;
      lost = true;
      made.end().catch(() => {});
      again();
    };
    made.on('error', lose);
    made.on('end', lose);
    made.on('notification', hint);
    made
      .connect()
      .then(() => made.query(`listen ${pg.escapeIdentifier(channel)}`))
      .then(() => {
        waitMs = 100;
        hint();
      })
      .catch(lose);
  };
  open();
  return {
    close: async () => {
      closed = true;
      clearTimeout(pending);
      clearTimeout(retry);
      await client?.end().catch(() => {});
    },
  };
}
