/** What commands that two people sign do, in words: a heading before the number of devices, and what follows from it. */
const WORDS: Readonly<Record<string, readonly [heading: string, effect: string]>> = {
  EraseDevice: ['Erase', 'Everything on these devices is erased. This cannot be undone.'],
  DeleteUser: [
    'Delete a user’s data from',
    'The data of one user of a shared iPad that is not in iCloud is gone for good.',
  ],
  DeviceLock: ['Lock', 'These devices lock at once. Their holders can unlock them with their own code.'],
  EnableLostMode: [
    'Switch on lost mode for',
    'These devices show a message and cannot be used until lost mode is switched off.',
  ],
  DisableLostMode: ['Switch off lost mode for', 'Whoever holds these devices can use them again.'],
  DeviceLocation: [
    'Locate',
    'The place of these devices is read and sealed. Their holders are told on the device that this can happen.',
  ],
  ClearPasscode: [
    'Clear the passcode of',
    'Whoever holds these devices can open them without a code until a new one is set.',
  ],
  InstallProfile: [
    'Install a dangerous profile on',
    'The profile can lead these devices’ traffic elsewhere, make them trust another authority, or hand them over.',
  ],
  RemoveProfile: ['Remove a profile from', 'What the profile set up on these devices is gone.'],
  InstallApplication: ['Install an app on', 'These devices load an app and may run it.'],
  RemoveApplication: ['Remove an app from', 'The app goes from these devices with all its data.'],
  Settings: ['Change settings of', 'Settings of these devices change.'],
  RestartDevice: ['Restart', 'These devices restart at once. Those with a code stay locked until it is entered.'],
  ShutDownDevice: [
    'Switch off',
    'These devices switch off at once and cannot be reached until somebody switches them on.',
  ],
};

/** The heading for a command that two people sign. A verb without words of ours is shown as it is. */
export function verbHeading(verb: string, count: number): string {
  const heading = WORDS[verb]?.[0] ?? `Send the raw command ${verb} to`;
  return `${heading} ${count} ${count === 1 ? 'device' : 'devices'}`;
}

/** What follows when it runs. */
export function verbEffect(verb: string): string {
  return (
    WORDS[verb]?.[1] ??
    'This command was written by hand and is not one that the product knows. Sign only if you have read it.'
  );
}
