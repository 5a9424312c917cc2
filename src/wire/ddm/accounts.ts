// Key tables of account and app declarations, after the machine-readable schema that Apple publishes (notation: keys.ts).
const SMIME = `
SMIME?@17 {}
  Signing? {}
    Enabled bool
    IdentityAssetReference? asset credential.acme|credential.identity|credential.scep
    UserOverrideable? bool
    IdentityUserOverrideable? bool
  Encryption? {}
    Enabled bool
    IdentityAssetReference? asset credential.acme|credential.identity|credential.scep
    UserOverrideable? bool
    IdentityUserOverrideable? bool
    PerMessageSwitchEnabled? bool`;

const DAV = `
VisibleName? str
HostName str
Port? int 1..65535
Path? str
AuthenticationCredentialsAssetReference? asset credential.userpassword`;

const MAIL_SERVER = `
  HostName str
  Port? int 1..65535
  AuthenticationMethod one None|Password|CRAMMD5|NTLM|HTTPMD5
  AuthenticationCredentialsAssetReference? asset credential.userpassword`;

const APP_CONFIG = (indent: string) =>
  `
DataAssetReference? asset data
Passwords? [{}]
  Identifier str
  AssetReference asset credential.userpassword
Identities? [{}]
  Identifier str
  AssetReference asset credential.identity|credential.scep|credential.acme
Certificates? [{}]
  Identifier str
  AssetReference asset credential.certificate`.replaceAll('\n', `\n${indent}`);

export const ACCOUNTS: Readonly<Record<string, readonly [since: string, keys: string]>> = {
  'com.apple.configuration.account.caldav': ['15.0', DAV],
  'com.apple.configuration.account.carddav': ['15.0', DAV],
  'com.apple.configuration.account.exchange': [
    '15.0',
    `
VisibleName? str
EnabledProtocolTypes [one EAS|EWS]
UserIdentityAssetReference? asset useridentity
HostName? str
Port?@mac int
Path?@mac str
ExternalHostName?@mac str
ExternalPort?@mac int
External Path?@mac str
OAuth? {}
  Enabled bool
  SignInURL? url
  TokenRequestURL? url
AuthenticationCredentialsAssetReference? asset credential.userpassword
AuthenticationIdentityAssetReference? asset credential.acme|credential.identity|credential.scep${SMIME}
MailServiceActive? bool
LockMailService? bool
ContactsServiceActive? bool
LockContactsService? bool
CalendarServiceActive? bool
LockCalendarService? bool
RemindersServiceActive? bool
LockRemindersService? bool
NotesServiceActive? bool
LockNotesService? bool`,
  ],
  'com.apple.configuration.account.google': [
    '15.0',
    `
VisibleName? str
UserIdentityAssetReference asset useridentity`,
  ],
  'com.apple.configuration.account.ldap': [
    '15.0',
    `
VisibleName? str
HostName str
Port? int 1..65535
AuthenticationCredentialsAssetReference? asset credential.userpassword
SearchSettings? [{}]
  VisibleDescription? str
  SearchBase str
  Scope? one Base|OneLevel|Subtree`,
  ],
  'com.apple.configuration.account.mail': [
    '15.0',
    `
VisibleName? str
UserIdentityAssetReference? asset useridentity
IncomingServer {}
  ServerType one IMAP|POP${MAIL_SERVER}
  IMAPPathPrefix? str
OutgoingServer {}${MAIL_SERVER}${SMIME}`,
  ],
  'com.apple.configuration.account.subscribed-calendar': [
    '15.0',
    `
VisibleName? str
CalendarURL url
AuthenticationCredentialsAssetReference? asset credential.userpassword`,
  ],
  'com.apple.configuration.app.managed': [
    '17.2',
    `
AppStoreID? str
BundleID? str
ManifestURL? url
AppComposedIdentifier?@mac str
iOSApp?@mac bool
InstallBehavior? {}
  Install? one Optional|Required
  License? {}
    Assignment? one Device|User
    VPPType? one Device|User
  Version?@26 int 0..
  AllowDownloadsOverCellular?@26 one AlwaysOn|AlwaysOff|StoreSettings
UpdateBehavior?@26 {}
  AutomaticAppUpdates one AlwaysOn|AlwaysOff|StoreSettings
IncludeInBackup? bool
Attributes? {}
  AssociatedDomains? [str]
  AssociatedDomainsEnableDirectDownloads? bool
  CellularSliceUUID? str
  ContentFilterUUID? str
  DNSProxyUUID? str
  Hideable?@18.1 bool
  Lockable?@18.1 bool
  RelayUUID? str
  TapToPayScreenLock? bool
  VPNUUID? str
AppConfig?@18.4 {}${APP_CONFIG('  ')}
ExtensionConfigs?@18.4 {}
  *? {}${APP_CONFIG('    ')}
LegacyAppConfigAssetReference?@18.4 asset data`,
  ],
  'com.apple.configuration.app.settings': [
    '27.0',
    `
Allowed? {}
  AllowedApps? [str]
  DeniedApps? [str]
  AlwaysAllowManagedApps?@mac bool
Privacy? {}
  PermissionDefaults? {}
    *? {}
      OrganizationJustification str
      Bluetooth? one None|Allow
      Camera? one None|Allow
      Dictation? one None|Allow
      LocalNetwork? one None|Allow
      Location? one None|WhileUsing|Always
      LocationAccuracy? one None|Approximate|Precise
      Microphone? one None|Allow`,
  ],
};
