import { randomUUID } from 'node:crypto';

/** A profile with a passcode policy, as XML. */
export const codesProfile = (identifier: string, least: number): string => `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}</string><key>PayloadUUID</key><string>${randomUUID()}</string>
<key>PayloadDisplayName</key><string>${identifier} ${least}</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}.a</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000002</string>
<key>minLength</key><integer>${least}</integer></dict></array></dict></plist>`;
