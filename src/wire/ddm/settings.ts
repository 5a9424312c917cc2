// Key tables of settings, after the machine-readable schema that Apple publishes (notation: keys.ts).
const SWITCH = 'one Allowed|AlwaysOn|AlwaysOff';

export const SETTINGS: Readonly<Record<string, readonly [since: string, keys: string]>> = {
  'com.apple.configuration.accessibility.settings': [
    '27.0',
    `
Vision? {}
  AllowLiveRecognition? bool`,
  ],
  'com.apple.configuration.audio-accessory.settings': [
    '26.0',
    `
TemporaryPairing? {}
  Disabled? bool
  Configuration? {}
    UnpairingTime {}
      Policy one None|Hour
      Hour? int 0..23`,
  ],
  'com.apple.configuration.diskmanagement.settings': [
    'mac',
    `
Restrictions? {}
  ExternalStorage? one Allowed|ReadOnly|Disallowed
  NetworkStorage? one Allowed|ReadOnly|Disallowed`,
  ],
  'com.apple.configuration.intelligence.settings': [
    '26.4',
    `
AllowAppleIntelligenceReport? bool
AllowGenmoji? bool
AllowImagePlayground? bool
AllowImageWand? bool
AllowPersonalizedHandwritingResults? bool
AllowVisualIntelligenceSummary? bool
AllowWritingTools? bool
Apps? {}
  Calendar?@27 {}
    AllowNaturalLanguageEditing? bool
  Mail? {}
    AllowSmartReplies? bool
    AllowSummary? bool
  Notes? {}
    AllowTranscription? bool
    AllowTranscriptionSummary? bool
  Safari? {}
    AllowSummary? bool
ForceOnDeviceOnlyDictation? bool
ForceOnDeviceOnlyTranslation? bool`,
  ],
  'com.apple.configuration.math.settings': [
    '18.0',
    `
Calculator? {}
  BasicMode? {}
    AddSquareRoot bool
  ScientificMode? {}
    Enabled bool
  ProgrammerMode?@mac {}
    Enabled bool
  MathNotesMode? {}
    Enabled bool
  InputModes? {}
    UnitConversion? bool
    RPN?@mac bool
SystemBehavior? {}
  KeyboardSuggestions bool
  MathNotes bool`,
  ],
  'com.apple.configuration.network.dns-settings': [
    '27.0',
    `
VisibleName str
DNSSettings {}
  DNSProtocol one HTTPS|TLS
  ServerURL? url
  ServerName? str
  ServerAddresses? [str]
  AllowFailover? bool
  IdentityAssetReference? asset credential.identity|credential.scep|credential.acme
  SupplementalMatchDomains? [str]
OnDemandRules? [{}]
  Action one Connect|Disconnect|EvaluateConnection
  ActionParameters? [{}]
    Domains [str]
    DomainAction one NeverConnect|ConnectIfNeeded
  DNSDomainMatch? [str]
  DNSServerAddressMatch? [str]
  InterfaceTypeMatch? one Ethernet|WiFi|Cellular
  SSIDMatch? [str]
  URLStringProbe? url
ProhibitDisablement? bool`,
  ],
  'com.apple.configuration.passcode.settings': [
    '15.0',
    `
RequirePasscode? bool
RequireAlphanumericPasscode?@16.2 bool
RequireComplexPasscode? bool
MinimumLength? int 0..16
MinimumComplexCharacters?@16.2 int 0..4
MaximumFailedAttempts? int 2..11
FailedAttemptsResetInMinutes?@mac int 0..
MaximumGracePeriodInMinutes? int 0..
MaximumInactivityInMinutes? int 0..15
MaximumPasscodeAgeInDays?@16.2 int 0..730
PasscodeReuseLimit? int 1..50
ChangeAtNextAuth?@mac bool
CustomRegex?@mac {}
  Regex str
  Description? {}
    *? str`,
  ],
  'com.apple.configuration.safari.extensions.settings': [
    '18.0',
    `
ManagedExtensions? {}
  *? {}
    State? ${SWITCH}
    PrivateBrowsing? ${SWITCH}
    AllowedDomains? [str]
    DeniedDomains? [str]`,
  ],
  'com.apple.configuration.safari.settings': [
    '26.0',
    `
AcceptCookies? one Never|CurrentWebsite|VisitedWebsites|Always
AllowDisablingFraudWarning? bool
AllowHistoryClearing? bool
AllowJavaScript? bool
AllowPrivateBrowsing? bool
AllowPopups? bool
AllowSummary? bool
NewTabStartPage? {}
  PageType one Start|Home|Extension
  HomepageURL? url
  ExtensionIdentifier? str
Privacy?@27 {}
  PermissionDefaults? {}
    *? {}
      OrganizationJustification str
      Camera? one None|Allow
      Microphone? one None|Allow`,
  ],
  'com.apple.configuration.siri.settings': [
    '26.4',
    `
Enabled? bool
AllowSiriAI?@27 bool
AllowUserGeneratedContent? bool
AllowWhileLocked? bool
ForceProfanityFilter? bool
ForceReduceSensitiveContent?@27 bool`,
  ],
  'com.apple.configuration.softwareupdate.enforcement.specific': [
    '17.0',
    `
TargetOSVersion str
TargetBuildVersion? str
TargetLocalDateTime str
DetailsURL? url`,
  ],
  'com.apple.configuration.softwareupdate.settings': [
    '18.0',
    `
Notifications? bool
Deferrals? {}
  CombinedPeriodInDays? int 1..90
  MajorPeriodInDays?@mac int 1..90
  MinorPeriodInDays?@mac int 1..90
  SystemPeriodInDays?@mac int 1..90
RecommendedCadence? one All|Oldest|Newest
AutomaticActions? {}
  Download? ${SWITCH}
  InstallOSUpdates? ${SWITCH}
  InstallSecurityUpdate?@mac ${SWITCH}
RapidSecurityResponse? {}
  Enable? bool
  EnableRollback? bool
AllowStandardUserOSUpdates?@mac bool
Beta? {}
  ProgramEnrollment? ${SWITCH}
  OfferPrograms? [{}]
    Description str
    Token str
  RequireProgram? {}
    Description str
    Token str`,
  ],
};
