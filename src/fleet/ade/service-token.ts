import { randomUUID, sign } from 'node:crypto';
import { toBase64url } from '#base';
import { emit } from '#log';
import { type Pool, type Queryable, tx } from '#store';
import type { AdeFiles } from './files.ts';

/** Whose devices get tokens for signing in to Managed Apple Accounts. */
export const TOKEN_ALLOWANCES = ['none', 'organisation', 'all'] as const;
export type TokenAllowance = (typeof TOKEN_ALLOWANCES)[number];

interface Asked {
  readonly id: string;
  readonly handle: string;
  readonly service: string;
  readonly able: boolean;
  readonly allowed: boolean;
  readonly server: string | null;
}

const BATCH = 64;
/** A question that edge gave up on; nobody waits for its answer. */
const STALE = "interval '1 minute'";

/**
 * Decides on the tokens that devices asked for and signs those that may be: a JSON Web Token (RFC 7519) with the claims that Apple
 * names for GetToken, by the key whose certificate our server has at Apple. Returns how many were decided. A crash before the
 * commit leaves them to be decided again.
 */
export async function signServiceTokens(pool: Pool, files: AdeFiles, now: number): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<Asked>(
      `select s.id, d.handle, s.service, d.state = 'enrolled' and s.asked_at > now() - ${STALE} as able,
         p.allow = 'all' or (p.allow = 'organisation' and d.ownership = 'organisation') as allowed,
         (select a.server_uuid from fleet.ade_server a where a.token_not_after > now()) as server
       from fleet.service_token s join fleet.device d on d.id = s.device_id cross join fleet.service_token_policy p
       where s.state = 'asked' order by s.asked_at limit $1 for update of s skip locked`,
      [BATCH],
    );
    if (rows.length === 0) return 0;
    const key = files.key()?.key;
    for (const row of rows) {
      const reason = !row.able
        ? 'late'
        : !row.allowed
          ? 'policy'
          : row.server === null || !key
            ? 'no-server'
            : undefined;
      if (reason !== undefined) {
        await t.query(`update fleet.service_token set state = 'refused', reason = $2 where id = $1`, [row.id, reason]);
        continue;
      }
      const claims = {
        iss: row.server,
        iat: Math.floor(now / 1000),
        jti: randomUUID().toUpperCase(),
        service_type: row.service,
      };
      const text = [{ alg: 'RS256', typ: 'JWT' }, claims]
        .map((part) => toBase64url(Buffer.from(JSON.stringify(part))))
        .join('.');
      const token = `${text}.${toBase64url(sign('sha256', Buffer.from(text), key!))}`;
      await t.query(`update fleet.service_token set state = 'signed', token = $2 where id = $1`, [row.id, token]);
      const detail = { service: row.service, jti: claims.jti };
      await emit(t, { kind: 'device.token_signed', actor: 'core', device: row.handle, detail });
    }
    return rows.length;
  });
}

export async function serviceTokenAllowance(db: Queryable): Promise<TokenAllowance> {
  const { rows } = await db.query<{ allow: TokenAllowance }>('select allow from fleet.service_token_policy');
  return rows[0]?.allow ?? 'none';
}

export async function setServiceTokens(t: Queryable, input: { allow: TokenAllowance; by: string }): Promise<void> {
  await t.query('select fleet.set_service_tokens($1, $2)', [input.allow, input.by]);
}
