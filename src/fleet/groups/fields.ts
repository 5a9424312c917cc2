/** What a filter can ask of a fact; decides which comparisons there are. */
export type FieldType = 'text' | 'choice' | 'version' | 'yes-no' | 'age' | 'ahead' | 'list' | 'presence';

/** One fact of a device, as filters and rules know it. A fact that nobody reported is null: unknown, neither way. */
export interface Field {
  readonly label: string;
  readonly type: FieldType;
  /** The fact in SQL, over the aliases of `JOINS`; null if it is not known. A list: a JSON array of texts. */
  readonly sql: string;
  readonly joins: readonly JoinName[];
  readonly choices?: readonly string[];
  /** For lists: whether `$` is in it; null if there is no list. */
  readonly has?: string;
}

const inventory = (alias: string, kind: string) =>
  `left join fleet.inventory ${alias} on ${alias}.device_id = d.id and ${alias}.kind = '${kind}'`;

/** What may stand beside `fleet.device d`. */
export const JOINS = {
  security: inventory('s', 'SecurityInfo'),
  information: inventory('i', 'DeviceInformation'),
  profiles: inventory('p', 'ProfileList'),
  apps: inventory('a', 'InstalledApplicationList'),
  push: 'left join fleet.push q on q.device_id = d.id',
} as const;
export type JoinName = keyof typeof JOINS;

/** A JSON value as a boolean; anything but true and false is unknown. Devices write these values: no cast may throw. */
const yesNo = (json: string) => `case ${json} when 'true'::jsonb then true when 'false'::jsonb then false end`;

const STATES = ['offered', 'certified', 'authenticated', 'enrolled', 'checked_out', 'retired'];

/** The facts, by the names that stored filters use. A name is never given another meaning. */
export const FIELDS: Readonly<Record<string, Field>> = {
  state: { label: 'State', type: 'choice', sql: 'd.state', joins: [], choices: STATES },
  os: { label: 'System version', type: 'version', sql: 'd.os_version', joins: [] },
  build: { label: 'Build', type: 'text', sql: 'd.build_version', joins: [] },
  model: { label: 'Model number', type: 'text', sql: 'd.model', joins: [] },
  product: { label: 'Product', type: 'text', sql: 'd.product_name', joins: [] },
  serial: { label: 'Serial number', type: 'text', sql: 'd.serial', joins: [] },
  supervised: { label: 'Supervised', type: 'yes-no', sql: 'd.supervised', joins: [] },
  ownership: {
    label: 'Owner',
    type: 'choice',
    sql: 'd.ownership',
    joins: [],
    choices: ['organisation', 'personal'],
  },
  holder: { label: 'Holder', type: 'presence', sql: 'd.holder', joins: [] },
  seen: { label: 'Last seen', type: 'age', sql: 'd.last_seen_at', joins: [] },
  enrolled: { label: 'Enrolled', type: 'age', sql: 'd.enrolled_at', joins: [] },
  certificate: { label: 'Certificate', type: 'ahead', sql: 'd.certificate_not_after', joins: [] },
  enrolment: {
    label: 'Enrolment',
    type: 'choice',
    choices: ['user', 'automated', 'profile'],
    sql: `case when s.facts #> '{ManagementStatus,IsUserEnrollment}' = 'true' then 'user'
      when s.facts #> '{ManagementStatus,EnrolledViaDEP}' = 'true' then 'automated'
      when s.facts #> '{ManagementStatus,EnrolledViaDEP}' = 'false' then 'profile' end`,
    joins: ['security'],
  },
  passcode: {
    label: 'Passcode set',
    type: 'yes-no',
    sql: yesNo(`s.facts -> 'PasscodePresent'`),
    joins: ['security'],
  },
  'passcode-compliant': {
    label: 'Passcode meets the profiles',
    type: 'yes-no',
    sql: yesNo(`coalesce(s.facts -> 'PasscodeCompliantWithProfiles', s.facts -> 'PasscodeCompliant')`),
    joins: ['security'],
  },
  // Bit 1: blocks, bit 2: files. The keys hang on the passcode: without one the data is not protected (SecurityInfo).
  encrypted: {
    label: 'Storage encrypted',
    type: 'yes-no',
    sql: `case when jsonb_typeof(s.facts -> 'HardwareEncryptionCaps') = 'number' and ${yesNo(`s.facts -> 'PasscodePresent'`)} is not null
      then s.facts -> 'HardwareEncryptionCaps' = '3' and s.facts -> 'PasscodePresent' = 'true' end`,
    joins: ['security'],
  },
  'activation-lock': {
    label: 'Activation Lock on',
    type: 'yes-no',
    sql: yesNo(`i.facts -> 'IsActivationLockEnabled'`),
    joins: ['information'],
  },
  'cloud-backup': {
    label: 'iCloud backup on',
    type: 'yes-no',
    sql: yesNo(`i.facts -> 'IsCloudBackupEnabled'`),
    joins: ['information'],
  },
  'lost-mode': {
    label: 'Lost mode on',
    type: 'yes-no',
    sql: yesNo(`i.facts -> 'IsMDMLostModeEnabled'`),
    joins: ['information'],
  },
  // APNs gave the token up: state 'invalid'. No token yet is a known no.
  'push-token': {
    label: 'Can be woken',
    type: 'yes-no',
    sql: `d.push_token is not null and coalesce(q.state, 'due') <> 'invalid'`,
    joins: ['push'],
  },
  profile: {
    label: 'Profile installed',
    type: 'list',
    sql: `case when p.device_id is not null then jsonb_path_query_array(p.facts, '$.profiles[*].PayloadIdentifier') end`,
    has: `case when p.device_id is not null then
      p.facts @> jsonb_build_object('profiles', jsonb_build_array(jsonb_build_object('PayloadIdentifier', $::text))) end`,
    joins: ['profiles'],
  },
  app: {
    label: 'App installed',
    type: 'list',
    sql: `case when a.device_id is not null then jsonb_path_query_array(a.facts, '$.apps[*].Identifier') end`,
    has: `case when a.device_id is not null then
      a.facts @> jsonb_build_object('apps', jsonb_build_array(jsonb_build_object('Identifier', $::text))) end`,
    joins: ['apps'],
  },
  // Only what the device itself reports as valid and in force.
  declaration: {
    label: 'Declaration in force',
    type: 'list',
    sql: `case when exists (select from fleet.declared_status z where z.device_id = d.id) then coalesce((select
      jsonb_agg(z.identifier) from fleet.declared_state z where z.device_id = d.id and z.active and z.valid = 'valid'), '[]') end`,
    has: `case when exists (select from fleet.declared_status z where z.device_id = d.id) then exists (select from
      fleet.declared_state z where z.device_id = d.id and z.active and z.valid = 'valid' and z.identifier = $::text) end`,
    joins: [],
  },
};

/** The comparisons of each type, with what they need. */
export const OPS: Readonly<
  Record<FieldType, Readonly<Record<string, 'text' | 'texts' | 'version' | 'yes-no' | 'span' | 'none'>>>
> = {
  text: {
    is: 'text',
    'is-not': 'text',
    'one-of': 'texts',
    starts: 'text',
    contains: 'text',
    known: 'none',
    unknown: 'none',
  },
  choice: { is: 'text', 'is-not': 'text', 'one-of': 'texts', known: 'none', unknown: 'none' },
  version: {
    ...{ is: 'version', 'at-least': 'version', 'at-most': 'version', above: 'version', below: 'version' },
    ...{ known: 'none', unknown: 'none' },
  },
  'yes-no': { is: 'yes-no', known: 'none', unknown: 'none' },
  age: { within: 'span', older: 'span', known: 'none', unknown: 'none' },
  ahead: { lasts: 'span', ends: 'span', known: 'none', unknown: 'none' },
  list: { has: 'text', lacks: 'text', known: 'none', unknown: 'none' },
  presence: { known: 'none', unknown: 'none' },
};
