// Key tables of the remaining declarations, after the machine-readable schema that Apple publishes (notation: keys.ts).
const REFERENCE = `
Reference {}
  DataURL url
  ContentType? str
  Size? int 0..
  Hash-SHA-256? str
Authentication?@17 {}
  Type one MDM|None`;

export const OTHERS: Readonly<Record<string, readonly [since: string, keys: string]>> = {
  'com.apple.activation.simple': [
    '15.0',
    `
StandardConfigurations [str]
Predicate? str`,
  ],
  'com.apple.asset.data': ['17.0', REFERENCE],
  'com.apple.asset.credential.acme': ['17.0', `${REFERENCE}\nAccessible? one Default|AfterFirstUnlock`],
  'com.apple.asset.credential.certificate': ['17.0', REFERENCE],
  'com.apple.asset.credential.identity': ['17.0', `${REFERENCE}\nAccessible? one Default|AfterFirstUnlock`],
  'com.apple.asset.credential.scep': ['17.0', `${REFERENCE}\nAccessible? one Default|AfterFirstUnlock`],
  'com.apple.asset.credential.userpassword': ['15.0', REFERENCE],
  'com.apple.asset.useridentity': ['15.0', '\nFullName? str\nEmailAddress? str'],
  'com.apple.management.organization-info': [
    '15.0',
    `
Name str
Email? str
URL? url
Proof? {}
  IdentityToken? str`,
  ],
  'com.apple.management.properties': ['16.0', '\n*? any'],
  'com.apple.management.server-capabilities': [
    '15.0',
    `
Version str
SupportedFeatures {}
  *? any`,
  ],
  'com.apple.configuration.legacy': ['15.0', '\nProfileURL url'],
  'com.apple.configuration.legacy.interactive': ['15.0', '\nProfileURL url\nVisibleName str'],
  'com.apple.configuration.management.status-subscriptions': ['15.0', '\nStatusItems [{}]\n  Name str'],
  'com.apple.configuration.management.test': [
    '15.0',
    `
Echo str
EchoDataAssetReference?@17 asset data
ReturnStatus? one Installed|Failed|Unlocked`,
  ],
  'com.apple.configuration.package': [
    'mac',
    `
ManifestURL url
InstallBehavior? {}
  Install? one Optional|Required`,
  ],
  'com.apple.configuration.screensharing.connection': [
    'mac',
    `
ConnectionUUID str
DisplayName str
HostName str
Port? int 1..65535
DisplayConfiguration {}
  DisplayType one Virtual1|Virtual2
AuthenticationCredentialsAssetReference? asset credential.userpassword`,
  ],
  'com.apple.configuration.screensharing.connection.group': [
    'mac',
    '\nConnectionGroupUUID str\nGroupName str\nMembers [str]',
  ],
  'com.apple.configuration.screensharing.host.settings': [
    'mac',
    `
MaximumVirtualDisplays? int 0..2
PortBase? int 1024..65535
PreventCopyFilesFromHost? bool
PreventCopyFilesToHost? bool
PreventHighPerformanceConnections? bool`,
  ],
  'com.apple.configuration.security.certificate': ['17.0', '\nCredentialAssetReference asset credential.certificate'],
  'com.apple.configuration.security.identity': [
    '17.0',
    `
CredentialAssetReference asset credential.identity|credential.scep|credential.acme
AllowAllAppsAccess?@mac bool
KeyIsExtractable?@mac bool`,
  ],
  'com.apple.configuration.security.passkey.attestation': [
    '17.0',
    `
AttestationIdentityAssetReference asset credential.identity|credential.scep|credential.acme
AttestationIdentityKeyIsExtractable?@mac bool
RelyingParties [str]`,
  ],
  'com.apple.configuration.services.background-tasks': [
    'mac',
    `
TaskType str
TaskDescription? str
ExecutableAssetReference? asset data
LaunchdConfigurations? [{}]
  FileAssetReference asset data
  Context one daemon|agent`,
  ],
  'com.apple.configuration.services.configuration-files': ['mac', '\nServiceType str\nDataAssetReference asset data'],
  'com.apple.configuration.watch.enrollment': [
    '17.0',
    `
EnrollmentProfileURL url
AnchorCertificateAssetReferences? [asset credential.certificate]`,
  ],
};
