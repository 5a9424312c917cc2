/** On every answer of console and glass. No inline script or style, no foreign origin, no frame, Trusted Types for whatever remains. */
const COMMON = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

const NO_DEVICES = 'camera=(), microphone=(), geolocation=(), payment=(), usb=()';

/** The headers of an origin; `passkeys` says whether its pages may ask for a touch. */
export function securityHeaders({ passkeys }: { readonly passkeys: boolean }): Readonly<Record<string, string>> {
  const who = passkeys ? '(self)' : '()';
  return {
    ...COMMON,
    'Permissions-Policy': `${NO_DEVICES}, publickey-credentials-get=${who}, publickey-credentials-create=${who}`,
  };
}
