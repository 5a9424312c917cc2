import type { Subject } from './subject.ts';

/** What the set asks of a device, each with the token that core signed. */
const WANTS = `select c.kind, c.identifier, v.token from fleet.set_declaration x
  join fleet.declaration c on c.id = x.declaration_id and c.removed_at is null
  join fleet.declaration_version v on v.declaration_id = c.id and v.state = 'current' where x.set_id = $2`;
const SAYS = `from fleet.declared_state s where s.device_id = a.device_id and s.kind = w.kind and s.identifier = w.identifier
  and s.token = w.token`;

/**
 * A set of declarations whose gate is shut: devices are let in ring by ring, and say by their status reports whether every
 * declaration of the set is valid and, if it is a configuration, active.
 */
export const setSubject: Subject = {
  known: async (t, { subject_id }) => {
    const { rowCount } = await t.query(
      `select from fleet.set_gate g join fleet.declaration_set s on s.id = g.set_id where s.id = $1 and s.removed_at is null`,
      [subject_id],
    );
    return rowCount === 1;
  },
  wanted: async (t, { subject_id }) => {
    const { rows } = await t.query<{ handle: string }>(
      `select d.handle from fleet.set_scope($1) x(id) join fleet.device d on d.id = x.id and d.state = 'enrolled' order by 1`,
      [subject_id],
    );
    return rows.map(({ handle }) => handle);
  },
  send: async (t, { subject_id }, members) => {
    const { rows } = await t.query<{ n: number }>('select fleet.admit_to_set($1, $2) as n', [subject_id, members]);
    return rows[0]!.n;
  },
  outcomes: `select a.device_id, case
      when exists (select from (${WANTS}) w where exists (select ${SAYS} and s.valid = 'invalid')) then 'failed'
      when not exists (select from (${WANTS}) w where not exists (
        select ${SAYS} and s.valid = 'valid' and (s.active or s.kind <> 'configuration'))) then 'ok'
      else 'waits' end as outcome, a.at
    from fleet.set_admitted a join fleet.device d on d.id = a.device_id and d.handle = any($4)
    where a.set_id = $2 and $1::uuid is not null and $3::uuid is null`,
  sent: `select count(*)::int from fleet.set_admitted a join fleet.device d on d.id = a.device_id
    where a.set_id = $2 and d.handle = any($4) and $1::uuid is not null and $3::uuid is null`,
  // Nothing of it is an intent.
  forgetUnsent: async () => {},
  finish: async (t, { subject_id }) => {
    await t.query('select fleet.open_set($1)', [subject_id]);
  },
};
