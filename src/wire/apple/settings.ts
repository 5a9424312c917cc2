import type { Json } from '#base';
import { WireError } from '../error.ts';
import type { PlistInput } from '../plist/value.ts';
import { type Arg, type Args, bool, dict, identifier, int, readArgs, timeZone } from './command-args.ts';

const only = (members: Args, needed: readonly string[] = Object.keys(members)) => ({ members, needed });

/**
 * The settings that can be changed, by `Item` (Settings command). Left out: the device's name and wallpaper (personal),
 * and whatever is not known.
 */
const ITEMS: Readonly<Record<string, { readonly members: Args; readonly needed: readonly string[] }>> = {
  Bluetooth: only({ Enabled: bool }),
  DataRoaming: only({ Enabled: bool }),
  VoiceRoaming: only({ Enabled: bool }),
  PersonalHotspot: only({ Enabled: bool }),
  DiagnosticSubmission: only({ Enabled: bool }),
  AppAnalytics: only({ Enabled: bool }),
  TimeZone: only({ TimeZone: timeZone }),
  MDMOptions: only({
    MDMOptions: dict({
      ActivationLockAllowedWhileSupervised: bool,
      PromptUserToAllowBootstrapTokenForAuthentication: bool,
    }),
  }),
  MaximumResidentUsers: only({ MaximumResidentUsers: int(1, 99) }),
  DefaultApplications: only({
    DefaultApplications: dict({ WebBrowser: identifier, Mail: identifier, Calling: identifier, Messaging: identifier }),
  }),
  ApplicationAttributes: only({ Identifier: identifier, Attributes: dict({ VPNUUID: identifier, Removable: bool }) }),
  AccessibilitySettings: only(
    {
      BoldTextEnabled: bool,
      IncreaseContrastEnabled: bool,
      ReduceMotionEnabled: bool,
      VoiceOverEnabled: bool,
      TextSize: int(0, 11),
    },
    [],
  ),
  OrganizationInfo: only({
    OrganizationInfo: dict(
      {
        OrganizationName: (value, where) => name(value, where),
        OrganizationShortName: (value, where) => name(value, where),
      },
      ['OrganizationName'],
    ),
  }),
};

/** An organisation's name: no person's, so no mail address and no number belongs in it. */
function name(value: Json, where: string): PlistInput {
  if (typeof value !== 'string' || !/^[\p{L}\p{N} .,&'()-]{2,80}$/u.test(value) || /\d{5}/.test(value)) {
    throw new WireError('command', `${where} must be the name of an organisation.`);
  }
  return value;
}

/** The list of settings of one Settings command. */
export const settingArgs: Arg = (value, where) => {
  if (!Array.isArray(value) || value.length < 1 || value.length > 20) {
    throw new WireError('command', `${where} must be a list of 1 to 20 settings.`);
  }
  return value.map((one: Json): PlistInput => {
    const { Item: item, ...rest } =
      typeof one === 'object' && one !== null && !Array.isArray(one) ? (one as Record<string, Json>) : {};
    const known = typeof item === 'string' && Object.hasOwn(ITEMS, item) ? ITEMS[item]! : undefined;
    if (known === undefined) throw new WireError('command', `${where} has a setting that is not offered.`);
    return { Item: item as string, ...readArgs(rest, known.members, known.needed, `${String(item)}.`) };
  });
};
