import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processLogger, systemClock, toBase64url } from '#base';
import {
  EvidenceFolder,
  evidenceFile,
  pruneEvidence,
  remakeFiles,
  SettingsFile,
  showWitnesses,
  stampCheckpoints,
  tellSilence,
} from '#evidence';
import {
  Ade,
  AdeFiles,
  advanceRetirements,
  advanceRollouts,
  askInventory,
  dispatchReady,
  endPermits,
  expireIntents,
  FleetError,
  fetchReleases,
  followFacts,
  followUpdates,
  foundStandard,
  holdLane,
  issuePending,
  judgeAttestations,
  judgeSilence,
  Licences,
  loadCa,
  loadTokenCa,
  makeCa,
  makeTokenCa,
  nudgeAgain,
  PushKeeper,
  pruneHistory,
  publishCrl,
  READING,
  readAttestationRoots,
  reattest,
  releaseSetups,
  renewCertificates,
  Settling,
  sendApps,
  setIdentityPolicy,
  settleProfiles,
  signPackages,
  signServiceTokens,
  stepDeclarations,
} from '#fleet';
import { openForAlerts } from '#incident';
import { emit, NUMBER_BATCH, numberEvents, SHIP_BATCH, type Shipping, shipLeaves, tailGuards } from '#log';
import { accountRows, KeyChange, relockPeople, settleArriving, tellCanaryCalls, tellTransit } from '#people';
import {
  contain,
  executeCommands,
  executeDeclares,
  expireApprovals,
  isLocked,
  lockByHand,
  mirrorGuards,
  RosterWatch,
  requestApproval,
  tellHeldChanges,
} from '#respond';
import { DEFAULT_CAPS, guardClient } from '#seal';
import { listen, openPool } from '#store';
import { loadRules, Watch } from '#watch';
import { watchBackups } from './backup/alarms.ts';
import { readProcessConfig } from './config.ts';
import { evidenceFolder } from './home.ts';
import { type Loop, startLoop } from './loop.ts';
import { runProcess } from './process.ts';
import { APNS, PUSH_FILE } from './push.ts';

// Core: certificates, dispatch, numbering, settling, watch, respond. It opens no port; work reaches it through the database.
const logger = processLogger('core');
const config = readProcessConfig('core');
const keyFile = join(config.state, 'command.key');

async function init(): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  if (config.caKey?.source === 'pkcs11') await makeTokenCa(config.state, config.caKey, systemClock());
  else makeCa(config.state, systemClock());
  process.stdout.write(`${JSON.stringify({ core: toBase64url(publicKey.export({ format: 'der', type: 'spki' })) })}\n`);
}

async function run(): Promise<void> {
  const running = runProcess(logger);
  const { database, publicKeys, sockets } = config;
  if (!database || !publicKeys || !sockets.ledger || !sockets.sealer) throw new Error('incomplete configuration');
  const signKey = createPrivateKey(readFileSync(keyFile));
  const own = toBase64url(createPublicKey(signKey).export({ format: 'der', type: 'spki' }));
  if (own !== publicKeys.core) throw new Error('the command key is not the one of this installation');
  const ca = config.caKey?.source === 'pkcs11' ? await loadTokenCa(config.state, config.caKey) : loadCa(config.state);
  const pool = openPool(database, { max: 20, name: 'core' });
  running.onStop(() => pool.end());
  const guards = {
    ledger: guardClient(sockets.ledger, { name: 'ledger' }),
    sealer: guardClient(sockets.sealer, { name: 'sealer' }),
  };
  // A connection of its own: a long poll must not hold up the others.
  const tail = guardClient(sockets.ledger, { name: 'ledger' });
  await pool.query('select log.prepare_days(7)');

  const shipping: Shipping = { forked: false };
  const watch = new Watch(pool, loadRules());
  const loops: Record<string, Loop> = {};
  const loop = (name: string, pauseMs: number, step: () => Promise<number>, full?: number) => {
    loops[name] = startLoop(name, pauseMs, step, logger, full);
  };
  const then = (step: () => Promise<number>, next: readonly string[]) => async () => {
    const done = await step();
    if (done > 0) for (const name of next) loops[name]?.wake();
    return done;
  };
  loop(
    'number',
    100,
    then(() => numberEvents(pool), ['ship', 'watch', 'mirror']),
    NUMBER_BATCH,
  );
  loop('ship', 200, () => shipLeaves(pool, guards.ledger, shipping), SHIP_BATCH);
  loop(
    'tail',
    20,
    then(() => tailGuards(pool, tail), ['number']),
  );
  loop(
    'watch',
    100,
    then(() => watch.step(), ['contain']),
  );
  loop(
    'contain',
    250,
    then(() => contain(pool, guards), ['incident']),
  );
  loop('incident', 1_000, () => openForAlerts(pool));
  loop('mirror', 200, () => mirrorGuards(pool));
  loop(
    'canaries',
    1_000,
    then(() => tellCanaryCalls(pool, guards.ledger), ['tail']),
  );
  const telling = { coreKey: signKey, organisation: publicKeys.org, now: systemClock };
  loop('changes-told', 5_000, () => tellHeldChanges(pool, telling));
  loop('rows', 1_000, () => accountRows(pool, systemClock()));
  const keyChange = new KeyChange({ pool, guards, keys: publicKeys, log: logger });
  loop('key-change', 2_000, () => keyChange.step());
  loop('transit', 5_000, tellTransit(pool, guards.ledger));
  loop('relock', 2_000, () => relockPeople(pool, guards.ledger));
  loop('settle', 500, () => settleArriving(pool, guards.ledger));
  const { deviceDays = 365, renewDays = 90 } = config.certificates ?? {};
  const crlUrl = `${config.origins.edge}/crl`;
  const roots = readAttestationRoots(config.attestationRoots ?? []);
  await setIdentityPolicy(pool, config.identity ?? 'scep', roots);
  loop(
    'attestations',
    200,
    then(() => judgeAttestations(pool, { roots, now: systemClock() }), ['certificates']),
  );
  loop('reattest', 5_000, () => reattest(pool, { signKey, roots, now: systemClock() }), 100);
  loop('certificates', 200, () => issuePending(pool, ca, systemClock(), { days: deviceDays, crlUrl }));
  loop('renewals', 2_000, () =>
    renewCertificates(pool, {
      ...{ signKey, origin: config.origins.edge, organisation: config.org, days: renewDays, now: systemClock() },
    }),
  );
  loop('crl', 5_000, () => publishCrl(pool, ca, systemClock()));
  await foundStandard(pool, signKey);
  loop('declarations', 300, async () =>
    stepDeclarations(pool, { signKey, laneOpen: !(await isLocked(pool, 'commands')) }),
  );
  loop('declarations-again', 3_600_000, () => nudgeAgain(pool));
  loop('updates', 30_000, async () => ((await isLocked(pool, 'commands')) ? 0 : followUpdates(pool, signKey)));
  const { releases } = config;
  if (releases !== undefined) {
    // A list that cannot be had is no failure of the loop, which would ask again every few seconds.
    loop('os-versions', 6 * 3_600_000, async () => {
      await fetchReleases(pool, releases).catch((error: unknown) =>
        logger.warn('the list of system versions could not be read; the one from before stays', {
          code: error instanceof FleetError ? error.code : 'unreadable',
        }),
      );
      return 0;
    });
  }
  loop('dispatch', 200, async () => {
    const open = !(await isLocked(pool, 'commands'));
    const held = await holdLane(pool, { open, reading: READING });
    const { changePerHour } = { ...DEFAULT_CAPS, ...config.caps };
    return held + (await dispatchReady(pool, { signKey, laneOpen: open, changePerHour }));
  });
  loop('running-out', 10_000, () => expireIntents(pool));
  const rollouts = { requestApproval, now: systemClock, origin: config.origins.edge };
  loop('packages', 1_000, () => signPackages(pool, signKey));
  // Each of these looks over the whole fleet: at once when something changed, else seldom.
  const settled = { rollouts: new Settling(10_000), apps: new Settling(300_000), profiles: new Settling(300_000) };
  loop(
    'rollouts',
    1_000,
    () => settled.rollouts.when(pool, systemClock(), () => advanceRollouts(pool, rollouts)),
    1_000,
  );
  const licences = new Licences({ pool, state: config.state, now: systemClock });
  loop('licences', 5_000, () => licences.step(), 1_000_000);
  loop('apps', 2_000, () => settled.apps.when(pool, systemClock(), () => sendApps(pool, rollouts)), 1_000_000);
  loop(
    'profiles',
    2_000,
    () => settled.profiles.when(pool, systemClock(), () => settleProfiles(pool, rollouts)),
    1_000_000,
  );
  loop('facts', 500, () => followFacts(pool));
  loop('retire', 2_000, () => advanceRetirements(pool));
  loop('inventory', 30_000, () => askInventory(pool, systemClock()));
  loop('silence', 300_000, async () => {
    await judgeSilence(pool);
    return 0;
  });
  loop('approvals', 500, () => executeCommands(pool, guards, signKey));
  loop('permits', 500, () => executeDeclares(pool, guards));
  loop('permits-end', 60_000, () => endPermits(pool));
  const adeFiles = new AdeFiles(config.state);
  const ade = new Ade({
    ...{ pool, files: adeFiles, now: systemClock },
    where: { edge: config.origins.edge, organisation: config.org },
  });
  loop('ade', 1_000, () => ade.step());
  loop('service-tokens', 1_000, () => signServiceTokens(pool, adeFiles, systemClock()));
  loop('setups', 1_000, () => releaseSetups(pool));
  loop('expiry', 30_000, () => expireApprovals(pool));
  loop('locks', 500, () => lockByHand(pool, guards));
  const rosterWatch = new RosterWatch(pool, guards, systemClock);
  loop('roster', 60_000, () => rosterWatch.look());
  loop('releases', 60_000, async () => {
    await pool.query('select fleet.drop_releases(), fleet.tell_rest()');
    return 0;
  });
  loop('backups', 300_000, async () => {
    await watchBackups(pool, systemClock());
    return 0;
  });
  const evidence = {
    ...{ pool, ledger: guards.ledger, key: publicKeys.log, now: systemClock },
    folder: new EvidenceFolder(evidenceFolder({ dir: config.home })),
    settings: new SettingsFile(evidenceFile(config.state)),
  };
  // Whoever is asked outside takes his time: neither holds up the other, nor anything else.
  loop('witnesses', 1_000, () => showWitnesses(evidence), 1_000);
  loop('time-stamps', 1_000, () => stampCheckpoints(evidence), 1_000);
  loop('evidence-alarms', 10_000, () => tellSilence(evidence), 1_000);
  loop('days', 3_600_000, async () => {
    await pruneEvidence(pool, evidence.folder, evidence.key);
    await remakeFiles(pool, evidence.folder, evidence.key);
    await pool.query('select log.prepare_days(7), courier.prune(), alarm.prune()');
    return pruneHistory(pool);
  });
  const pushes = new PushKeeper(pool, {
    ...{ file: join(config.state, PUSH_FILE), endpoint: config.push ?? APNS, topic: config.topic, now: systemClock },
  });
  running.onStop(() => pushes.close());
  loop(
    'push-certificate',
    2_000,
    then(() => pushes.look(), ['push']),
  );
  loop('push', 1_000, () => pushes.send());
  loop('push-again', 60_000, () => pushes.again());
  loop('push-watch', 3_600_000, () => pushes.watch());
  const hints = [
    listen(database, 'bartizan_push', () => loops['push']?.wake()),
    listen(database, 'bartizan_event', () => loops['number']?.wake(), 10),
    listen(database, 'bartizan_work', () => {
      const woken = [
        'ade',
        'facts',
        'packages',
        'retire',
        'attestations',
        'service-tokens',
        'reattest',
        'certificates',
        'dispatch',
        'declarations',
        'updates',
        'approvals',
        'permits',
        'locks',
        'settle',
        'canaries',
        'relock',
      ];
      for (const name of woken) loops[name]?.wake();
    }),
  ];
  running.onStop(async () => {
    tail.close();
    await Promise.all([...hints.map((hint) => hint.close()), ...Object.values(loops).map((one) => one.close())]);
    guards.ledger.close();
    guards.sealer.close();
  });
  await emit(pool, { kind: 'system.started', actor: 'core' });
  running.ready();
  logger.info('core is at work', { rules: loadRules().length });
}

if (process.argv.includes('--init')) await init();
else
  await run().catch((error: unknown) => {
    logger.error('core cannot start', error);
    process.exit(1);
  });
