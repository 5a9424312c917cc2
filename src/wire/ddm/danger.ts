import type { Json } from '#base';
import { checkDeclaration } from './check.ts';
import { type Declaration, declarationBody } from './declaration.ts';

/**
 * Declarations that can take a device over or lead its traffic elsewhere: profiles whose contents we do not see, trust
 * anchors and identities, accounts, name servers and tunnels, the enrolment of watches, code from any address. Assets too:
 * whoever changes the asset changes what was agreed to with the configuration.
 */
const DANGEROUS =
  /^com\.apple\.(asset\.[a-z.-]+|configuration\.(legacy(\.interactive)?|security\.(certificate|identity|passkey\.attestation)|account\.[a-z-]+|network\.[a-z0-9.-]+|webcontent-filter\.[a-z]+|watch\.enrollment|package|services\.[a-z.-]+|screensharing\.[a-z.-]+))$/;
/** An app from an address instead of the store is code that nobody but its author has looked at. */
const APP = 'com.apple.configuration.app.managed';

/** Why a declaration must reach no device without two people's permit. */
export type DeclarationDanger = 'dangerous' | 'unchecked';

/**
 * Why a declaration must not reach a device without two people's permit: it is dangerous, or it is not wholly known here.
 * Empty for what one person may declare. Never throws.
 */
export function declarationDangers(declaration: Declaration): readonly DeclarationDanger[] {
  const { type, payload } = declaration;
  const { problems, unchecked } = checkDeclaration(declaration);
  const dangerous = DANGEROUS.test(type) || (type === APP && Object.hasOwn(payload ?? {}, 'ManifestURL'));
  return [
    ...(dangerous ? ['dangerous' as const] : []),
    ...(unchecked || problems.length > 0 ? ['unchecked' as const] : []),
  ];
}

/** The same for the exact bytes that a device would receive; whatever we would have written otherwise is unchecked. */
export function bodyDangers(body: Uint8Array): readonly DeclarationDanger[] {
  try {
    const bytes = Buffer.from(body);
    const {
      Type: type,
      Identifier: identifier,
      Payload: payload,
    } = JSON.parse(bytes.toString('utf8')) as Record<string, Json>;
    if (typeof type !== 'string' || typeof identifier !== 'string' || !isObject(payload)) return ['unchecked'];
    const declaration = { type, identifier, payload };
    // A second key of the same name, or a token of something else, would be read otherwise by a device than by us.
    return declarationBody(declaration).equals(bytes) ? declarationDangers(declaration) : ['unchecked'];
  } catch {
    return ['unchecked'];
  }
}

const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
