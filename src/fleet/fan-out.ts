import type { KeyObject } from 'node:crypto';
import { fromBase64url, sha256, toBase64url } from '#base';
import { emit } from '#log';
import { type FanOut, membersDigest, NIL_UUID, signFanOut } from '#seal';
import type { Tx } from '#store';
import { buildCommand, type Verb } from '#wire';
import type { Scope } from './intent.ts';
import { wantPush } from './push/push.ts';
import { type CommandParams, commandRequest, keyOf } from './verbs.ts';

/** Queues one command for many devices: one signed template, one narrow row a device. Returns how many devices. */
export async function fanOut(
  t: Tx,
  intent: {
    readonly id: string;
    readonly verb: Verb;
    readonly params: CommandParams;
    readonly scope: Scope;
    readonly requester: string;
  },
  signKey: KeyObject,
): Promise<number> {
  const named = 'devices' in intent.scope ? intent.scope.devices : null;
  // Locked until the commit: a device that leaves meanwhile waits, so that the signed set is the queued set.
  const { rows } = await t.query<{ handle: string }>(
    `select handle from fleet.device where state = 'enrolled' and ($1::text[] is null or handle = any($1))
     order by id for key share`,
    [named],
  );
  const handles = rows.map(({ handle }) => handle);
  if (handles.length > 0) {
    const template = buildCommand(NIL_UUID, commandRequest(intent.verb, intent.params));
    const statement: FanOut = {
      ...{ id: intent.id, verb: intent.verb, template: toBase64url(sha256(template)) },
      ...{ members: membersDigest(handles), count: handles.length },
    };
    await t.query(
      'insert into fleet.fan_out (id, verb, template, members_sha256, members, signature) values ($1, $2, $3, $4, $5, $6)',
      [
        ...[intent.id, intent.verb, template, fromBase64url(statement.members), handles.length],
        Buffer.from(fromBase64url(signFanOut(signKey, statement))),
      ],
    );
    await t.query(
      `insert into fleet.command (uuid, device_id, request_type, fan_out_id, key)
       select fleet.fan_out_uuid($1, d.handle), d.id, $2, $1, $4 from fleet.device d where d.handle = any($3)`,
      [intent.id, intent.verb, handles, keyOf(intent.verb, intent.params)],
    );
    await wantPush(t, { intent: intent.id });
    await emit(t, {
      kind: 'command.group_queued',
      actor: intent.requester,
      detail: { fan_out: intent.id, verb: intent.verb, count: handles.length, members: statement.members },
    });
  }
  await t.query(`update fleet.intent set state = 'dispatched', dispatched_at = now() where id = $1`, [intent.id]);
  return handles.length;
}
