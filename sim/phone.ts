import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beginInstall, finishInstall, type PendingApp } from './app-install.ts';
import { type Behaviour, spend, spendIdentity } from './behaviour.ts';
import { carryOut, garbage } from './commands.ts';
import { DdmClient, newDdmState } from './ddm.ts';
import { factsOf } from './ddm-phone.ts';
import type { Answer } from './http.ts';
import { failed, type Outcome } from './outcome.ts';
import { identify } from './phone-identity.ts';
import { sayAs } from './phone-line.ts';
import { authenticate, tokenUpdate, whoIs } from './phone-messages.ts';
import { PhoneError, type PhoneOptions } from './phone-options.ts';
import type { Enrolment, PhoneState } from './phone-state.ts';
import { type PhoneUser, userKeys } from './phone-users.ts';
import { decodePlist, dict, encodePlist, type PlistDict, text } from './plist.ts';
import { type EnrolmentProfile, enrolmentAnew, readEnrolmentProfile } from './profile.ts';
import { attestProperties } from './reattest.ts';

/** A simulated iPhone or iPad. `state` holds all it knows and can be stored between runs. */
export class Phone {
  readonly state: PhoneState;
  readonly options: PhoneOptions;
  readonly behaviour: Behaviour;
  /** Its declarative management; asks the server when a DeclarativeManagement command says so. */
  readonly ddm: DdmClient;
  /** Status values beside what the phone's state says, by path. */
  readonly facts: { [path: string]: unknown } = {};
  /** Data of the last DeclarativeManagement command, until it was followed. */
  #declared: Uint8Array | null | undefined;
  /** Packages to fetch once the conversation is over. */
  #installs: PendingApp[] = [];
  /** Whether it put off a command with NotNow in its last conversation. */
  putOff = false;
  #talking: Promise<unknown> = Promise.resolve();

  constructor(state: PhoneState, options: PhoneOptions) {
    this.state = state;
    this.options = options;
    this.behaviour = options.behaviour ?? {};
    state.ddm ??= newDdmState();
    this.ddm = new DdmClient((endpoint, data) => this.sayDeclarative(endpoint, undefined, data), {
      facts: () => factsOf(this.state, this.facts),
      state: state.ddm,
      ...(options.ddm === undefined ? {} : { behaviour: options.ddm }),
    });
  }

  /** One DeclarativeManagement check-in; `url` is the enrolment's own if it is left out. */
  sayDeclarative(endpoint: string, url?: string, data?: Uint8Array): Promise<Answer> {
    if (this.state.enrolment === null) throw new PhoneError('the phone is not managed');
    const message = { MessageType: 'DeclarativeManagement', UDID: this.state.udid, Endpoint: endpoint, Data: data };
    const type = 'application/x-apple-aspen-mdm-checkin';
    return sayAs(this, url ?? this.state.enrolment.checkInUrl, encodePlist(message), type);
  }

  get enrolled(): boolean {
    return this.state.enrolment !== null;
  }

  /** Opens an enrolment link: profile, identity by SCEP or ACME, Authenticate, TokenUpdate. Throws PhoneError, ScepRefused, AcmeRefused or SyntaxError. */
  async enrol(url: string): Promise<void> {
    const answer = await this.options.send('GET', url);
    if (answer.status !== 200) throw new PhoneError('the enrolment link did not answer a profile', answer.status);
    if (!answer.type.startsWith('application/x-apple-aspen-config')) {
      throw new PhoneError('the enrolment link did not answer a profile', answer.status);
    }
    await this.install(answer.body);
  }

  /** Enrols with a profile, however it came. */
  async install(bytes: Buffer): Promise<void> {
    const profile = readEnrolmentProfile(bytes);
    await this.present(await this.#identify(profile), profile.enrolment);
    this.state.profiles = [profile.installed];
  }

  #identify(profile: EnrolmentProfile): Promise<NonNullable<PhoneState['identity']>> {
    return identify(this.state, this.options, profile, spendIdentity(this.behaviour));
  }

  /** Introduces itself to a server with an identity that it got somehow: Authenticate, TokenUpdate. */
  async present(identity: NonNullable<PhoneState['identity']>, enrolment: Enrolment): Promise<void> {
    this.state.identity = identity;
    this.state.enrolment = enrolment;
    // What an earlier enrolment declared is gone.
    Object.assign(this.ddm.state, newDdmState());
    try {
      await this.#checkIn(authenticate(this.state));
      await this.#checkIn(tokenUpdate(this.state));
    } catch (error) {
      // A phone that cannot finish is not managed.
      this.state.enrolment = null;
      this.state.identity = null;
      throw error;
    }
  }

  /** Sends TokenUpdate again, as phones do when their push token changes. */
  async updateToken(): Promise<void> {
    await this.#checkIn(tokenUpdate(this.state));
  }

  /** A user of a shared iPad, or of a device with users, opens a channel of its own. */
  async updateUserToken(user: PhoneUser): Promise<void> {
    const { UnlockToken: _, ...update } = tokenUpdate(this.state);
    await this.#checkIn({ ...update, ...userKeys(user), Token: randomBytes(32), PushMagic: randomUUID() });
  }

  async checkOutUser(user: PhoneUser): Promise<void> {
    await this.#checkIn({ MessageType: 'CheckOut', UDID: this.state.udid, ...userKeys(user) });
  }

  /** Sends any check-in as this device and gives the server's answer as it is. */
  checkInWith(message: PlistDict): Promise<Answer> {
    const body = encodePlist({ UDID: this.state.udid, ...message });
    return sayAs(this, this.state.enrolment!.checkInUrl, body, 'application/x-apple-aspen-mdm-checkin');
  }

  /** As `poll`, on a user's channel. */
  pollUser(user: PhoneUser): Promise<number> {
    const turn = this.#talking.then(() => this.#converse(userKeys(user)));
    this.#talking = turn.catch(() => {});
    return turn;
  }

  /** The holder removes management: CheckOut if the profile asks for it, then everything managed goes. */
  async removeManagement(): Promise<void> {
    if (this.state.enrolment?.checkOutWhenRemoved) {
      const { topic } = this.state.enrolment;
      await this.#checkIn({ MessageType: 'CheckOut', Topic: topic, ...whoIs(this.state) });
    }
    this.#unenrol();
  }

  #unenrol(): void {
    this.state.enrolment = null;
    this.state.identity = null;
    this.state.profiles = this.state.profiles.filter((profile) => !profile.managed);
  }

  async #checkIn(message: PlistDict): Promise<void> {
    const body = encodePlist(message);
    const answer = await sayAs(this, this.state.enrolment!.checkInUrl, body, 'application/x-apple-aspen-mdm-checkin');
    if (answer.status !== 200) throw new PhoneError(`${message['MessageType']} was refused`, answer.status);
  }

  /**
   * One connection to the server: Idle, then commands until it has no more. Returns how many commands were offered.
   * Throws PhoneError on any answer that a phone would not understand.
   */
  poll(): Promise<number> {
    // A phone holds one conversation at a time; a second poll waits for the first.
    const turn = this.#talking.then(() => this.#converse());
    this.#talking = turn.catch(() => {});
    return turn;
  }

  async #converse(user: PlistDict = {}): Promise<number> {
    if (this.behaviour.offline || this.state.enrolment === null) return 0;
    let offered = 0;
    this.putOff = false;
    let command = this.#readCommand(await this.#report({ ...whoIs(this.state), ...user, Status: 'Idle' }));
    while (command !== null) {
      offered += 1;
      if (offered > 1000) throw new PhoneError('the server never runs out of commands');
      if (this.behaviour.slowMs) await sleep(this.behaviour.slowMs);
      const { result, after } = await this.#answer(command, user);
      if (spend(this.behaviour, 'loseResult')) return offered;
      let said = await this.#report(result, spend(this.behaviour, 'garbage'));
      if (spend(this.behaviour, 'duplicate')) said = await this.#report(result);
      if (after !== undefined) {
        after();
        return offered;
      }
      command = this.#readCommand(said);
    }
    for (const pending of this.#installs.splice(0)) await finishInstall(this.options.send, this.state, pending);
    if (this.#declared !== undefined) {
      const data = this.#declared ?? undefined;
      this.#declared = undefined;
      await this.ddm.synchronise(data);
    }
    return offered;
  }

  #readCommand(answer: Answer): PlistDict | null {
    if (answer.status === 401) this.#unenrol();
    if (answer.status !== 200) throw new PhoneError('the server refused the connection', answer.status);
    if (answer.body.length === 0) {
      // Some clients test the announced length and would try to decode nothing.
      if (answer.headers['content-length'] !== '0') throw new PhoneError('an empty answer must say Content-Length: 0');
      return null;
    }
    return dict(decodePlist(answer.body));
  }

  async #answer(message: PlistDict, user: PlistDict): Promise<{ result: PlistDict; after?: () => void }> {
    const uuid = text(message, 'CommandUUID');
    const base = { ...whoIs(this.state), ...user, CommandUUID: uuid };
    if (spend(this.behaviour, 'notNow')) {
      this.putOff = true;
      return { result: { ...base, Status: 'NotNow' } };
    }
    if (spend(this.behaviour, 'commandFormatError')) return { result: { ...base, Status: 'CommandFormatError' } };
    const outcome = await this.#execute(uuid, message);
    return {
      result: { ...base, Status: outcome.status, ...outcome.answer },
      ...(outcome.after === undefined ? {} : { after: outcome.after }),
    };
  }

  async #execute(uuid: string, message: PlistDict): Promise<Outcome> {
    const wanted = this.behaviour.error;
    if (wanted !== undefined && wanted.times > 0) {
      wanted.times -= 1;
      return failed(wanted.code, 'The command failed on this phone.');
    }
    const requestType = text(dict(message['Command']), 'RequestType');
    const before = this.state.executed[uuid];
    this.state.executed[uuid] = { requestType, times: (before?.times ?? 0) + 1 };
    if (requestType === 'DeclarativeManagement') {
      const data = dict(message['Command'])['Data'];
      this.#declared = data instanceof Uint8Array ? data : null;
    }
    const install = await beginInstall(this.options.send, this.state, dict(message['Command']));
    if (install !== undefined) {
      if (install.pending !== undefined) this.#installs.push(install.pending);
      return install.outcome;
    }
    const renewal = enrolmentAnew(this.state, message['Command']);
    if (renewal !== undefined) return this.#renew(renewal);
    const attested =
      requestType === 'DeviceInformation' && attestProperties(this.state, this.options, dict(message['Command']));
    return attested || carryOut(this.state, requestType, message['Command']);
  }

  /** The enrolment profile came again: a new key, a new identity by SCEP or ACME, and a TokenUpdate that is signed with it. */
  async #renew(profile: EnrolmentProfile): Promise<Outcome> {
    if (spend(this.behaviour, 'scepFailure'))
      return failed(22013, 'The SCEP server did not answer.', 'MCSCEPErrorDomain');
    try {
      this.state.identity = await this.#identify(profile);
    } catch {
      return failed(22013, 'The certificate was not given.', 'MCSCEPErrorDomain');
    }
    const { enrollmentId } = this.state.enrolment!;
    this.state.enrolment = { ...profile.enrolment, ...(enrollmentId === undefined ? {} : { enrollmentId }) };
    await this.#checkIn(tokenUpdate(this.state));
    return { status: 'Acknowledged', answer: {} };
  }

  #report(result: PlistDict, spoiled = false): Promise<Answer> {
    if (this.state.enrolment === null) throw new PhoneError('the phone is not managed');
    const type = this.options.withoutType ? '' : 'application/x-apple-aspen-mdm';
    return sayAs(this, this.state.enrolment.serverUrl, spoiled ? garbage() : encodePlist(result), type);
  }
}
