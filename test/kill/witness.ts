import type { Phone } from '#sim';

/** What a phone remembers of one command. Times are milliseconds of its own clock, which is the server's. */
export interface Did {
  readonly verb: string;
  receivedAt: number;
  /** How often it was carried out, and how many of the answers nobody took. */
  times: number;
  unanswered: number;
  /** When the server took an answer other than NotNow. */
  answeredAt: number | undefined;
  status: string | undefined;
  /** It said NotNow when it was last offered. */
  putOff: boolean;
}

/** What one phone saw: the outside view that the server's rows are held against. */
export class Witness {
  readonly did = new Map<string, Did>();
  /** Commands that came again after the server had taken their answer. */
  readonly again: string[] = [];

  received(uuid: string, verb: string): void {
    const known = this.did.get(uuid);
    if (known === undefined) {
      const fresh = { times: 0, unanswered: 0, answeredAt: undefined, status: undefined, putOff: false };
      this.did.set(uuid, { verb, receivedAt: Date.now(), ...fresh });
      return;
    }
    known.receivedAt = Date.now();
    known.putOff = false;
    if (known.answeredAt !== undefined) this.again.push(uuid);
  }

  /** Before the answer is sent: it was carried out, and nobody knows yet. */
  carriedOut(uuid: string): void {
    const known = this.did.get(uuid)!;
    known.times += 1;
    known.unanswered += 1;
  }

  later(uuid: string): void {
    this.did.get(uuid)!.putOff = true;
  }

  taken(uuid: string, status: string): void {
    const known = this.did.get(uuid)!;
    known.unanswered -= 1;
    known.answeredAt ??= Date.now();
    known.status ??= status;
  }
}

const UUID = /<key>CommandUUID<\/key>\s*<string>([^<]+)<\/string>/;
const VERB = /<key>RequestType<\/key>\s*<string>([^<]+)<\/string>/;
const STATUS = /<key>Status<\/key>\s*<string>([^<]+)<\/string>/;

/** The command in an answer of the server's, if there is one. */
export function commandOf(answer: Uint8Array): { uuid: string; verb: string } | undefined {
  const text = Buffer.from(answer).toString('utf8');
  const uuid = UUID.exec(text)?.[1];
  return uuid === undefined ? undefined : { uuid, verb: VERB.exec(text)?.[1] ?? '' };
}

/** Listens to a phone's conversations. */
export function watch(phone: Phone): Witness {
  const witness = new Witness();
  const options = phone.options as { send: Phone['options']['send'] };
  const { send } = options;
  options.send = async (method, url, request) => {
    const said = request?.body === undefined ? '' : Buffer.from(request.body).toString('utf8');
    const mine = UUID.exec(said)?.[1];
    const status = STATUS.exec(said)?.[1] ?? '';
    const counts = mine !== undefined && status !== 'NotNow' && witness.did.has(mine);
    if (counts) witness.carriedOut(mine);
    else if (mine !== undefined && witness.did.has(mine)) witness.later(mine);
    const answer = await send(method, url, request);
    if (counts && answer.status === 200) witness.taken(mine, status);
    const next = commandOf(answer.body);
    if (next !== undefined) witness.received(next.uuid, next.verb);
    return answer;
  };
  return witness;
}
