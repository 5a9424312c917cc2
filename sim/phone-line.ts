import { type Behaviour, spend } from './behaviour.ts';
import { signCms } from './cms.ts';
import type { Answer } from './http.ts';
import { readKey } from './keys.ts';
import type { PhoneOptions } from './phone-options.ts';
import type { PhoneState } from './phone-state.ts';

/** One signed request of an enrolled phone, with its own ways and faults. */
export function sayAs(
  { state, options, behaviour }: { state: PhoneState; options: PhoneOptions; behaviour: Behaviour },
  url: string,
  body: Buffer,
  type: string,
): Promise<Answer> {
  const { identity, enrolment } = state;
  const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
  if (enrolment!.signMessage) {
    const over = spend(behaviour, 'wrongSignature') ? Buffer.concat([body, Buffer.from(' ')]) : body;
    headers['mdm-signature'] = signCms(over, {
      certificate: Buffer.from(identity!.certificate, 'base64'),
      key: readKey(identity!.key),
      ...(options.digest === undefined ? {} : { digest: options.digest }),
      ...(options.attached === undefined ? {} : { attached: options.attached }),
    }).toString('base64');
  }
  return options.send(options.method ?? 'PUT', url, { body, headers });
}
