/**
 * The simulators: software passkeys, phones and invented people for tests, demo and drill. They know the public
 * protocols and nothing of the server, so that they find its bugs and do not share them.
 */
export {
  type AssertionOptions,
  assert,
  assertion,
  newPasskey,
  type PasskeyAssertion,
  publicHalf,
  type SoftwarePasskey,
} from './passkey.ts';
