import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  openPool,
  type Pool,
  PROCESS_ROLES,
  type ProcessRole,
  roleName,
  type TestDatabase,
  testDatabase,
} from '#store';
import { type Rights, rightsOf } from './rights.ts';

// The picture of who may do what, written down a second time: a grant that nobody meant shows here. Capital letters: the
// whole table; small: named columns only. S select, I insert, U update. Nobody deletes, truncates or adds triggers.
const EXPECTED: Record<ProcessRole, Rights> = {
  edge: {
    tables: {},
    functions: [
      ...['adopt_certificate', 'crl', 'request_renewal'],
      ...[
        'asked',
        'authenticate',
        'certificate',
        'check_out',
        'count_legacy',
        'count_refused',
        'deliver',
        'fan_out',
        'forget_bootstrap',
      ],
      ...['identify', 'next_commands', 'release', 'released'],
      ...['next_version', 'open_link', 'put_sealed', 'refuse_turns', 'refuse_unsigned', 'register'],
      ...['request_certificate', 'seen', 'started', 'take_answers', 'token_update'],
      ...['acme_account', 'acme_answer', 'acme_certificate', 'acme_deactivate', 'acme_enter', 'acme_finalize'],
      ...['acme_change_key', 'acme_revoke', 'ask_service_token', 'take_service_token'],
      ...['acme_new_order', 'acme_order', 'acme_orders', 'acme_spend', 'attestation_mismatch', 'enrolment_identity'],
      // enrolment
      ...['account_enrol', 'account_key', 'ade_enrol', 'ade_policy', 'keep_account_key', 'trusted_issuers'],
      // apps of our own
      ...['package', 'package_part', 'package_unsigned'],
      'organisation_notice',
      'transit_notice',
      // declarations
      ...['declaration', 'declared', 'declared_data', 'declared_fetched', 'declared_list', 'declared_unsigned'],
      ...['declared_permits', 'declared_withheld'],
      'take_statuses',
      'canary_called',
    ].map((name) => `edge.${name}`),
  },
  intake: {
    tables: {},
    functions: [
      ...['people.import_done', 'people.import_people', 'people.intake_started', 'people.taken'],
      'people.organisation_notice',
      'people.transit_notice',
      // synchronisations
      ...['people.scim_find', 'people.scim_get', 'people.scim_next', 'people.scim_create', 'people.scim_change'],
      ...['people.scim_delete', 'people.scim_group_find', 'people.scim_group_get', 'people.scim_group_put'],
      ...['people.scim_group_delete', 'people.intake_refused', 'people.intake_tokens'],
      ...['people.import_known', 'people.import_gone', 'people.import_batch', 'people.import_sent'],
    ],
  },
  console: {
    tables: {
      ...{ 'backup.plan': 'S', 'backup.posture': 'S', 'backup.run': 'S' },
      ...{ 'fleet.certificate': 'S', 'fleet.renewal': 's', 'fleet.crl': 's' },
      ...{ 'api.challenge': 'ISU', 'api.session': 'ISU' },
      ...{ 'courier.message': 's', 'courier.standing': 'S' },
      ...{ 'alarm.channel': 'S', 'alarm.delivery': 'S', 'alarm.held': 'S', 'alarm.silence': 'S' },
      ...{ 'fleet.attestation': 'S', 'fleet.identity_policy': 'S' },
      ...{ 'fleet.profile': 'ISu', 'fleet.profile_version': 'IS', 'fleet.profile_assignment': 'Siu' },
      ...{ 'fleet.rollout': 'Si', 'fleet.rollout_act': 'Si', 'fleet.profile_on': 'S' },
      ...{ 'fleet.maintenance_window': 'ISu' },
      ...{ 'fleet.app': 'Siu', 'fleet.app_assignment': 'Siu', 'fleet.app_licence': 'S', 'fleet.app_on': 'S' },
      ...{ 'fleet.app_service': 'S' },
      ...{ 'fleet.command': 's', 'fleet.device': 'S', 'fleet.enrolment': 's', 'fleet.intent': 'Si' },
      ...{
        'fleet.recovery': 'S',
        'fleet.inventory': 'S',
        'fleet.fan_out': 's',
        'fleet.push': 'S',
        'fleet.push_certificate': 'S',
      },
      ...{ 'fleet.device_group': 'ISU', 'fleet.group_member': 'S' },
      ...{ 'fleet.compliance': 'S', 'fleet.compliance_rule': 'ISU', 'fleet.silence': 'S', 'fleet.silence_rule': 'ISU' },
      ...{ 'fleet.inventory_change': 'S', 'fleet.inventory_plan': 'S', 'fleet.push_sent': 'S', 'fleet.drift': 'S' },
      ...{ 'fleet.retirement': 'S', 'fleet.claim': 'S' },
      ...{ 'incident.exposure': 'IS', 'incident.incident': 'ISU', 'incident.note': 'IS' },
      ...{
        'fleet.account': 's',
        'fleet.account_device': 's',
        'fleet.foreign_profile': 's',
        'fleet.reattestation': 's',
      },
      ...{ 'fleet.reattestation_plan': 'S', 'fleet.service_token_policy': 'S' },
      ...{ 'fleet.ade_server': 's', 'fleet.ade_device': 'S', 'fleet.trusted_issuer': 'S' },
      'fleet.expected_holder': 'S',
      ...{ 'fleet.package': 'S', 'fleet.package_part': 'S', 'fleet.app_version': 'Si' },
      ...{ 'fleet.set_gate': 'S', 'fleet.set_admitted': 'S' },
      'log.event': 's',
      ...{ 'fleet.channel': 's', 'fleet.release': 's', 'fleet.template': 'I' },
      // Never the row itself: the console cannot even read ciphertext.
      ...{ 'people.import': 'S', 'people.person': 'S', 'people.sealed': 's', 'people.tombstone': 'S' },
      ...{ 'people.arriving': 's', 'people.rotation': 'S', 'people.rotating': 'S' },
      ...{ 'respond.action': 'S', 'respond.approval': 'IS', 'respond.lock': 'S', 'respond.lock_request': 'IS' },
      'respond.signature': 's',
      ...{ 'watch.alert': 'Su', 'watch.cursor': 'S' },
      // declarations: written by the console as far as columns allow, signed by core alone
      ...{ 'fleet.declaration': 'Si', 'fleet.declaration_set': 'S', 'fleet.declaration_version': 'is' },
      ...{ 'fleet.declared_data': 'Is', 'fleet.declared_device': 'S', 'fleet.declared_list': 's' },
      ...{ 'fleet.declared_state': 'S', 'fleet.declared_status': 'S', 'fleet.set_declaration': 'S' },
      ...{ 'fleet.set_device': 'S', 'fleet.set_group': 'S', 'fleet.status_change': 'S' },
      ...{ 'fleet.declared_ask': 'IS', 'fleet.declared_permit': 'S' },
      ...{ 'fleet.os_feed': 'S', 'fleet.os_release': 'S', 'fleet.update_plan': 'Si', 'fleet.update_set': 'S' },
    },
    functions: [
      ...['alarm.end_silence', 'alarm.silence_rule', 'alarm.test'],
      ...[
        'fleet.ask_attestation',
        'fleet.set_reattestation',
        'fleet.set_service_tokens',
        'people.rows_left',
        'fleet.ask_renewal',
        'fleet.revoke_certificates',
        'fleet.renewal_obstacle',
        'people.offer_sheet',
      ],
      ...[
        'fleet.cancel_intent',
        'fleet.offer',
        'fleet.version_key',
        'fleet.set_inventory_plan',
        ...['fleet.cancel_retirement', 'fleet.request_retirement', 'fleet.desired_of'],
        'log.emit',
      ],
      // enrolment
      ...['fleet.mark_personal', 'fleet.revoke_link', 'fleet.expect_serial'],
      ...['fleet.decide_claim', 'fleet.offer_anew', 'fleet.trust_holder'],
      ...['fleet.ade_ask', 'fleet.give_holder', 'fleet.expect_holders'],
      ...['fleet.begin_package', 'fleet.put_package_part', 'fleet.drop_package', 'fleet.propose_package'],
      ...['fleet.remove_package', 'fleet.gate_set'],
      // declarations
      ...['fleet.change_set', 'fleet.remove_declaration', 'fleet.remove_set'],
      ...['fleet.end_update', 'fleet.put_releases', 'fleet.set_scope'],
      // what waits
      ...['fleet.cancel_all', 'fleet.hold_intent', 'fleet.recover', 'fleet.release_intent'],
    ],
  },
  glass: {
    tables: {
      ...{ 'fleet.template': 'S', 'people.sealed': 's', 'respond.approval': 'S', 'respond.signature': 'IS' },
      ...{ 'fleet.declared_ask': 'S', 'fleet.declared_data': 's' },
    },
    functions: [
      'courier.ask',
      'people.export_page',
      'people.organisation_notice',
      'people.transit_notice',
      'people.sheet_of',
      'people.sheet_opened',
      'fleet.put_release',
      'log.emit',
      'people.read_page',
      'people.read_rows',
    ],
  },
  courier: {
    tables: {},
    functions: [
      ...['again', 'expand', 'finish', 'notice', 'sending', 'stands', 'started', 'take'].map(
        (name) => `courier.${name}`,
      ),
      ...['blind_seconds', 'done', 'escalate', 'set_channels', 'take'].map((name) => `alarm.${name}`),
    ],
  },
  core: {
    tables: {
      ...{ 'evidence.checkpoint': 'IS', 'evidence.cosignature': 'ISU', 'evidence.stamp': 'ISU' },
      ...{ 'evidence.state': 'SU', 'evidence.witness': 'ISU' },
      ...{ 'backup.plan': 'ISU', 'backup.posture': 'ISU', 'backup.run': 'IS' },
      'api.session': 'su',
      'respond.key_use': 'ISU',
      ...{ 'fleet.account_device': 's', 'fleet.foreign_profile': 'IS', 'fleet.reattestation': 'ISU' },
      'fleet.service_token': 'SU',
      'fleet.service_token_policy': 'S',
      'fleet.reattestation_plan': 'S',
      ...{ 'fleet.acme_order': 'SU', 'fleet.attestation': 'IS', 'fleet.identity_policy': 'S' },
      ...{ 'fleet.certificate': 'ISU', 'fleet.renewal': 'ISU', 'fleet.crl': 'ISU' },
      ...{ 'fleet.ade_server': 'SU', 'fleet.ade_device': 'ISU', 'fleet.trusted_issuer': 'ISU' },
      'fleet.expected_holder': 'S',
      ...{ 'fleet.package': 'Su', 'fleet.package_part': 'S', 'fleet.app_version': 'S', 'fleet.package_link': 'IS' },
      ...{ 'fleet.set_gate': 'S', 'fleet.set_admitted': 'S' },
      ...{
        'fleet.certificate_request': 'ISU',
        'fleet.command': 'ISU',
        'fleet.device': 'ISU',
        'fleet.enrolment': 'ISU',
        'fleet.fan_out': 'IS',
      },
      ...{
        ...{ 'fleet.compliance': 'S', 'fleet.compliance_rule': 'SU', 'fleet.silence': 'S', 'fleet.silence_rule': 'S' },
        ...{
          'fleet.inventory_change': 'S',
          'fleet.inventory_plan': 'S',
          'fleet.push_sent': 'S',
          'fleet.drift': 'S',
          'fleet.retirement': 'S',
        },
        'fleet.push': 'ISU',
        'fleet.push_certificate': 'ISU',
        'fleet.device_group': 'ISU',
        'fleet.group_member': 'S',
      },
      ...{ 'fleet.profile': 'S', 'fleet.profile_version': 'S', 'fleet.profile_assignment': 'S', 'fleet.rollout': 'SU' },
      ...{ 'fleet.app': 'S', 'fleet.app_assignment': 'S', 'fleet.app_licence': 'ISU', 'fleet.app_on': 'ISU' },
      ...{ 'fleet.app_service': 'ISU' },
      ...{ 'fleet.rollout_act': 'SU', 'fleet.profile_on': 'ISU', 'fleet.maintenance_window': 'S' },
      ...{
        'fleet.recovery': 'S',

        'fleet.intent': 'ISU',
        'fleet.inventory': 'ISU',
        'fleet.registration': 'SU',
      },
      ...{ 'incident.exposure': 'ISU', 'incident.incident': 'ISU', 'incident.note': 'ISU' },
      ...{ 'log.counter': 'SU', 'log.event': 'Su', 'log.kind': 'S' },
      ...{
        'people.tombstone': 'S',
        ...{ 'people.rotation': 'S', 'people.rotating': 'S' },
        'people.import': 'S',
        'people.person': 'S',
        'people.rows_account': 'SU',
        'people.sealed': 's',
      },
      'people.scim_group': 's',
      ...{ 'respond.action': 'ISU', 'respond.approval': 'ISU', 'respond.lock': 'ISU', 'respond.lock_request': 'ISU' },
      'respond.signature': 'ISU',
      ...{ 'fleet.channel': 'Su', 'fleet.template': 'I' },
      ...{ 'watch.alert': 'ISU', 'watch.cursor': 'ISU' },
      // declarations
      ...{ 'fleet.declaration': 'ISU', 'fleet.declaration_set': 'S', 'fleet.declaration_version': 'ISU' },
      ...{ 'fleet.declared_device': 'ISU', 'fleet.declared_list': 'ISU', 'fleet.declared_state': 'S' },
      ...{ 'fleet.declared_status': 'S', 'fleet.set_declaration': 'IS', 'fleet.set_device': 'S' },
      ...{ 'fleet.set_group': 'S', 'fleet.stale_device': 'IS', 'fleet.stale_set': 'IS' },
      ...{ 'fleet.declared_ask': 'S', 'fleet.declared_permit': 'ISU' },
      ...{ 'fleet.os_feed': 'S', 'fleet.os_release': 'S', 'fleet.update_plan': 'Su', 'fleet.update_set': 'IS' },
    },
    functions: [
      ...['fleet.put_releases', 'fleet.give_holder', 'fleet.expect_holders'],
      ...['fleet.admit_to_set', 'fleet.open_set'],
      ...[
        'fleet.fan_out_uuid',
        'fleet.hold_intent',
        'fleet.push_again',
        'fleet.settling_count',
        ...['fleet.may_attest', 'fleet.renewable', 'fleet.renewal_identity', 'fleet.renewal_obstacle'],
        ...[
          'fleet.end_grace',
          'fleet.judge',
          'fleet.judge_silence',
          'fleet.take_inventory_turns',
          'fleet.prune_history',
          'fleet.retire_step',
          'fleet.judge_drift',
        ],
        'fleet.set_group_members',
        'fleet.set_identity_policy',
        'fleet.take_touched',
        'fleet.version_key',
        'fleet.want_push',
        'log.copy_guard_entry',
        'log.emit',
        'log.prepare_days',
      ],
      ...['fleet.drop_releases', 'fleet.tell_rest'],
      ...['fleet.import_sealed', 'fleet.import_version'],
      ...['courier.ask_auto', 'courier.change_told', 'courier.forget', 'courier.prune', 'courier.untold_changes'],
      'evidence.prune',
      'alarm.prune',
      ...['people.canary_told', 'people.take_canary_calls'],
      ...['people.organisation_notice', 'people.put_notice', 'people.key_retired', 'people.rows_to_reseal'],
      ...['people.put_resealed', 'people.mark_resealed', 'people.rows_left'],
      ...['people.handed', 'people.put_settled', 'people.set_aside', 'people.take_arriving', 'people.name_group'],
      ...['people.erase', 'people.hold', 'people.end_hold'],
      'people.put_transit',
      ...['people.start_rotation', 'people.rotating_rows', 'people.rotated', 'people.rotate_later'],
      // declarations
      ...[
        'fleet.change_set',
        'fleet.remove_set',
        'fleet.set_scope',
        'fleet.take_stale_devices',
        'fleet.take_stale_sets',
      ],
    ],
  },
};

let database: TestDatabase;
let admin: Pool;
const pools = {} as Record<ProcessRole, Pool>;
let allTables: string[];
let allFunctions: { name: string; call: string }[];

before(async () => {
  database = await testDatabase();
  admin = openPool(database.admin);
  for (const role of PROCESS_ROLES) pools[role] = openPool(database.as(role), { max: 1 });
  const ours = "n.nspname !~ '^(pg_|information_schema)'";
  allTables = (
    await admin.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where ${ours} and c.relkind in ('r', 'p', 'v', 'm', 'S')`,
    )
  ).rows.map(({ name }) => name);
  allFunctions = (
    await admin.query<{ name: string; call: string }>(
      `select n.nspname || '.' || p.proname as name, format('select %I.%I(%s)', n.nspname, p.proname,
         (select string_agg('null::' || format_type(t, null), ', ') from unnest(p.proargtypes) t)) as call
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${ours} and p.prorettype <> 'trigger'::regtype`,
    )
  ).rows;
});
after(async () => {
  for (const pool of [admin, ...Object.values(pools)]) await pool.end();
  await database.close();
});

/** SQLSTATE of a statement as a role, or `ok`; whatever it did is rolled back. */
async function attempt(role: ProcessRole, sql: string): Promise<string> {
  const client = await pools[role].connect();
  try {
    await client.query('begin');
    await client.query(sql);
    return 'ok';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  } finally {
    await client.query('rollback').catch(() => {});
    client.release();
  }
}

const DENIED = '42501';

for (const role of PROCESS_ROLES) {
  test(`${role} holds exactly the rights that are written here`, async () => {
    const actual = await rightsOf(admin, roleName(role));
    assert.deepEqual(actual.tables, EXPECTED[role].tables);
    assert.deepEqual([...actual.functions].sort(), [...EXPECTED[role].functions].sort());
  });

  test(`${role} cannot touch a table beyond that, with any statement`, async () => {
    const { tables } = EXPECTED[role];
    for (const table of allTables) {
      const rights = tables[table] ?? '';
      const statements: [string, string][] = [
        ['S', `select * from ${table}`],
        ['S', `copy ${table} to stdout`],
        ['I', `insert into ${table} default values`],
        ['D', `delete from ${table}`],
        ['T', `truncate ${table}`],
        ['L', `lock table ${table} in access exclusive mode`],
        ['A', `alter table ${table} add column x int`],
        ['A', `create rule r as on select to ${table} do instead nothing`],
        ['A', `create policy p on ${table}`],
        ['A', `drop table ${table}`],
      ];
      for (const [right, sql] of statements) {
        if (rights.includes(right)) continue;
        // A right to some columns is counted, not attacked, here: no statement without a column is refused.
        if (right === 'I' && rights.includes('i')) continue;
        // Whoever may update or delete may also lock; PostgreSQL knows no finer right.
        if (right === 'L' && rights.includes('U')) continue;
        const code = await attempt(role, sql);
        // 42809/42601: the statement does not fit this kind of object, so nothing was done either.
        assert.ok([DENIED, '42809', '42601', '0A000', '55000'].includes(code), `${role}: ${sql} answered ${code}`);
      }
    }
  });

  test(`${role} cannot call another's functions`, async () => {
    for (const { name, call } of allFunctions) {
      if (EXPECTED[role].functions.includes(name)) continue;
      assert.equal(await attempt(role, call), DENIED, `${role}: ${call}`);
    }
  });

  test(`${role} cannot leave the database or become somebody else`, async () => {
    const others = PROCESS_ROLES.filter((one) => one !== role).map(roleName);
    for (const sql of [
      ...["copy (select 1) to program 'id'", "copy (select 1) to '/tmp/btz-out'", 'create temp table t (x text)'],
      ...["select pg_read_file('/etc/passwd')", "select pg_read_binary_file('PG_VERSION')", "select pg_ls_dir('.')"],
      ...["select pg_stat_file('PG_VERSION')", "select lo_import('/etc/passwd')", 'select lo_create(0)'],
      ...["select lo_from_bytea(0, 'x')", 'select pg_current_logfile()', 'select pg_reload_conf()'],
      ...['select * from pg_authid', 'select * from pg_shadow', 'select * from pg_hba_file_rules'],
      ...['select pg_rotate_logfile()', "select pg_create_restore_point('x')", 'select pg_switch_wal()'],
      ...["select pg_create_logical_replication_slot('x', 'pgoutput')", 'create publication p for all tables'],
      ...["create subscription s connection '' publication p with (connect = false)"],
      ...[
        'set role bartizan_owner',
        `set role ${database.admin.user}`,
        `set session authorization ${database.admin.user}`,
      ],
      ...others.flatMap((other) => [
        `set role ${other}`,
        `set session authorization ${other}`,
        `grant ${other} to current_user`,
      ]),
      ...['alter role current_user superuser', "alter role bartizan_owner login password 'x'", 'create role x login'],
      ...others.map((other) => `alter role ${other} password 'x'`),
      ...['create schema x', 'create table public.x (y int)', 'create extension dblink', 'create language plperlu'],
      ...["create function public.f() returns int language sql as 'select 1'", 'create foreign data wrapper w'],
      ...['alter system set log_statement = all', "set log_statement = 'all'", "load 'auto_explain'", 'checkpoint'],
      ...["set session_replication_role = 'replica'", "alter database current set x.y = '1'"],
    ]) {
      const code = await attempt(role, sql);
      assert.ok(
        [DENIED, '42704', '42601', '0A000', '3D000', '42883', '3F000'].includes(code),
        `${role}: ${sql} answered ${code}`,
      );
    }
  });

  test(`${role} cannot stop the connections of others`, async () => {
    const { rows } = await admin.query<{ pid: number }>('select pg_backend_pid() as pid');
    for (const name of ['pg_terminate_backend', 'pg_cancel_backend'])
      assert.equal(await attempt(role, `select ${name}(${rows[0]!.pid})`), DENIED);
  });
}

test('ciphertext is readable to nobody but through glass’s counted doors, and nobody but core writes commands', async () => {
  for (const role of PROCESS_ROLES) {
    assert.equal(await attempt(role, 'select row from people.sealed'), DENIED, role);
    for (const door of [`people.read_rows('name', '{a}')`, `people.read_page('name', '', 10)`])
      assert.equal(await attempt(role, `select * from ${door}`), role === 'glass' ? 'ok' : DENIED, role);
    assert.equal(await attempt(role, 'select outer_layer from people.arriving'), DENIED, role);
    const write = `insert into fleet.command (uuid, device_id, request_type, body, signature)
      values (gen_random_uuid(), 1, 'EraseDevice', 'x', 'x')`;
    // As core the row reaches the table's own checks (there is no device 1).
    assert.equal(await attempt(role, write), role === 'core' ? '23503' : DENIED, role);
  }
});

test('the console states intents, and cannot write that one was released or belongs to a rollout', async () => {
  for (const column of ['released_by', 'rollout_id', 'dispatched_at', 'swept_at', 'split_from'])
    assert.equal(await attempt('console', `insert into fleet.intent (${column}) values (null)`), DENIED, column);
});

test('nobody can hand on what he holds', async () => {
  for (const role of PROCESS_ROLES) {
    const { rows } = await admin.query<{ name: string }>(
      `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname !~ '^(pg_|information_schema)' and c.relkind in ('r', 'p')
         and has_table_privilege($1, c.oid, 'SELECT WITH GRANT OPTION, INSERT WITH GRANT OPTION, UPDATE WITH GRANT OPTION')`,
      [roleName(role)],
    );
    assert.deepEqual(rows, [], role);
  }
});

test('functions that run as the owner pin their search path, so that no caller can slip an object under them', async () => {
  const { rows } = await admin.query<{ name: string }>(
    `select n.nspname || '.' || p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname !~ '^(pg_|information_schema)' and p.prosecdef
       and not exists (select from unnest(coalesce(p.proconfig, '{}')) c where c ~ '^search_path=')`,
  );
  assert.deepEqual(rows, []);
});
