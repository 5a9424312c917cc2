import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { toBase64url, uuidv7 } from '#base';
import type { Grant, Signable } from '#seal';
import { newPasskey } from '#sim';
import { openPool } from '#store';
import { drillD26 } from '../../src/run/drill/d26.ts';
import { drillD30 } from '../../src/run/drill/d30.ts';
import { Person, send } from '../../src/run/person.ts';
import { rosterAnew } from '../../src/run/roster-anew.ts';
import { until } from '../../src/run/stage.ts';
import { launch, screenshotPlace, Person as Visitor } from './browser-person.ts';
import { withoutBrowser } from './browser-stage.ts';
import * as story from './browser-story.ts';
import { living } from './product.ts';

interface View {
  readonly version: number;
  readonly agree: boolean | null;
  readonly able: string[];
  readonly caps: Record<string, number>;
  readonly raises: { cap: string; to: number }[];
  readonly admins: { admin: string; role: string; locked: boolean; keys: { key: string; usedAt: string | null }[] }[];
  readonly findings: { title: string }[];
}

const recovery = generateKeyPairSync('ed25519');

test('the roster is changed through console, glass and both guards, and locks go past the console', async (t) => {
  const { product, stage } = await living(t, {
    ...{ phones: 1, people: 4, admins: 4, founders: 5 },
    recovery: toBase64url(recovery.publicKey.export({ format: 'der', type: 'spki' })),
  });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  const [ada, bo, cy, dora] = stage.admins as [Person, Person, Person, Person];
  const glass = product.urls.glass;
  const roster = async () => (await ada.call('GET', '/api/roster')).body as unknown as View;
  const ask = async (change: object, who = ada) => {
    const asked = await who.call('POST', '/api/roster/changes', { change, purpose: 'a test of the roster' });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    return asked.body as { approval: string; links: { admin: string; link: string }[] };
  };
  const state = async (id: string) =>
    (
      await pool.query<{ state: string; reason: string }>('select state, reason from respond.approval where id = $1', [
        id,
      ])
    ).rows[0]!;
  const both = async (id: string, signers = [ada, bo]) => {
    // The last signer is told at once what the guards say, be it no.
    for (const one of signers) await one.approve(id);
    assert.ok(await until(async () => (await state(id)).state !== 'open', 15_000));
    return state(id);
  };
  const refuse = { lock: (body: object) => send(glass, 'POST', '/api/lock', body) };

  await t.test('a further passkey, and the first one away', async () => {
    const { approval, links } = await ask({ act: 'add-key', admin: dora.admin });
    const token = new URLSearchParams(new URL(links[0]!.link).hash.slice(1)).get('join')!;
    const other = new Person(product.urls, dora.admin, newPasskey({ admin: dora.admin }));
    assert.notEqual((await other.join(token)).status, 200, 'nobody signed yet');
    assert.equal((await both(approval)).state, 'executed');
    assert.equal((await other.join(token)).status, 200);
    assert.equal((await other.signIn()).status, 200);
    const view = await roster();
    assert.deepEqual([view.version, view.agree], [1, true]);
    const keys = view.admins.find(({ admin }) => admin === dora.admin)!.keys;
    assert.equal(keys.length, 2);
    assert.ok(keys.every(({ usedAt }) => usedAt !== null));
  });

  await t.test('who is removed is signed out at once, and his requests are void', async () => {
    const pending = await ask({ act: 'threshold', threshold: 2 }, dora);
    const { approval } = await ask({ act: 'remove-admin', admin: dora.admin });
    assert.equal((await dora.call('GET', '/api/roster')).status, 200);
    assert.equal((await both(approval)).state, 'executed');
    assert.ok(await until(async () => (await dora.call('GET', '/api/roster')).status === 401, 10_000));
    assert.notEqual((await dora.signIn()).status, 200);
    assert.equal((await state(pending.approval)).state, 'cancelled');
    const view = await roster();
    assert.deepEqual([view.version, view.agree, view.admins.length], [2, true, 3]);
    assert.equal((await both((await ask({ act: 'remove-admin', admin: cy.admin })).approval)).reason, 'lock-out');
  });

  await t.test('limits: down at once, up later, stopped by one', async () => {
    const { caps } = await roster();
    assert.equal(
      (await both((await ask({ act: 'caps', caps: { ...caps, perDay: 7, namesPerDay: 900 } })).approval)).state,
      'executed',
    );
    const view = await roster();
    assert.equal(view.caps['perDay'], 7);
    assert.deepEqual(
      view.raises.map(({ cap, to }) => [cap, to]),
      [['namesPerDay', 900]],
    );
    const document = {
      ...{ v: 1, op: 'cancel-raise', id: uuidv7(), roster: view.version, requester: cy.admin },
      ...{ purpose: 'a test of the roster', notAfter: Date.now() + 60_000 },
    } as Signable;
    const stopped = await send(glass, 'POST', '/api/cancel-raise', { document, assertion: cy.touch(document) });
    assert.deepEqual(stopped.body, { missing: [] });
    assert.deepEqual((await roster()).raises, []);
  });

  await t.test('one touch on glass locks within a second, whatever console and core do', async () => {
    const document = {
      ...{ v: 1, op: 'lock', id: uuidv7(), scope: 'admin', target: cy.admin, requester: bo.admin },
      ...{ purpose: 'a test of locks', notAfter: Date.now() + 60_000 },
    } as Signable;
    assert.notEqual((await refuse.lock({ document, assertion: cy.touch(document) })).status, 200, 'not his to sign');
    const started = Date.now();
    const done = await refuse.lock({ document, assertion: bo.touch(document) });
    assert.deepEqual([done.status, done.body], [200, { missing: [] }]);
    assert.ok(Date.now() - started < 10_000);
    const { answer } = await cy.reveal('number', ['amber-otter-1001'], 'a test of locks');
    assert.equal(answer.body['code'], 'locked');
    assert.ok(await until(async () => (await roster()).admins.find(({ admin }) => admin === cy.admin)!.locked, 5_000));
    const by = await until(
      async () =>
        (await pool.query('select from respond.lock where put_by = $1 and target = $2', [bo.admin, cy.admin]))
          .rowCount === 1,
      10_000,
    );
    assert.ok(by, 'the record says who locked');
  });

  const quiet = { product, stage, tell: () => {} };
  for (const [id, play] of [
    ['D30, break-glass used improperly and properly', drillD30],
    ['D26, taking over the console', drillD26],
  ] as const) {
    await t.test(id, async () => {
      const report = await play(quiet);
      assert.deepEqual(
        report.steps.filter((step) => !step.ok),
        [],
      );
      assert.ok(report.steps.length >= 15, 'a drill that tries little proves little');
    });
  }

  await t.test(
    'D26 in a real browser: planted script does not run, and the cookie alone is worth nothing',
    { skip: withoutBrowser },
    async () => {
      const chrome = await launch();
      try {
        const me = product.founders[4]!;
        const place = { console: product.urls.console, glass };
        const person = await Visitor.arrive(chrome, me.admin, Object.values(place), screenshotPlace());
        await story.join(person, me.link, { look: false });
        const { page } = await story.signIn(person, place, { look: false });
        const hostile = `x<img src=x onerror="globalThis.owned=1"><svg/onload=owned=1>`;
        const handle = (await pool.query<{ handle: string }>('select handle from fleet.device limit 1')).rows[0]!
          .handle;
        // What a phone, an app's list and an administrator's words could bring; the phone's past all checks.
        await pool.query('update fleet.device set model = $1, product_name = $1, os_version = $2', [
          hostile,
          '<svg/onload=owned=1>',
        ]);
        await bo.signIn();
        const app = { identifier: 'org.example.x', name: hostile, adamId: 12345, manifestUrl: null, configuration: {} };
        const made = await bo.call('POST', '/api/apps', app);
        const group = await bo.call('POST', '/api/groups', { name: hostile, filter: { field: 'os', op: 'known' } });
        assert.equal(
          (await bo.call('POST', '/api/locks', { scope: 'role', target: 'dpo', reason: hostile })).status,
          200,
        );
        const opened = await bo.call('POST', '/api/incidents', {
          ...{ title: hostile, windowFrom: new Date().toISOString(), principal: null },
        });
        let shown = 0;
        for (const path of [
          '/',
          '/devices',
          `/devices/${handle}`,
          '/apps',
          '/groups',
          '/locks',
          '/incidents',
          '/alerts',
          '/admins',
        ]) {
          await page.goto(`${place.console}${path}`);
          await page.getByRole('heading', { level: 1 }).waitFor();
          const loaded = async () => !(await page.evaluate(`document.body.innerText.includes('Loading')`));
          assert.ok(await until(loaded, 10_000, 100), path);
          assert.equal(await page.evaluate('globalThis.owned'), undefined, path);
          if ((await page.getByText(hostile).count()) > 0) shown += 1;
        }
        assert.ok(shown >= 3, `shown as text on ${shown} pages; ${made.status} ${group.status} ${opened.status}`);
        assert.deepEqual(person.troubles, []);
        // The key is there, and not even the page can have it.
        assert.equal(await page.evaluate('document.cookie'), '');
        const key = await page.evaluate(`new Promise((done) => {
          const asked = indexedDB.open('bartizan', 1);
          asked.onsuccess = () => {
            const found = asked.result.transaction('keys').objectStore('keys').get('present');
            found.onsuccess = () => {
              const { privateKey } = found.result;
              crypto.subtle.exportKey('pkcs8', privateKey).then(() => 'exported', () => 'kept')
                .then((taken) => done({ extractable: privateKey.extractable, taken }));
            };
          };
        })`);
        assert.deepEqual(key, { extractable: false, taken: 'kept' });
        const thief = await chrome.newContext();
        await thief.addCookies(await person.context.cookies());
        const elsewhere = await thief.newPage();
        await elsewhere.goto(`${place.console}/people`);
        await elsewhere.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
        assert.match((await elsewhere.textContent('body')) ?? '', /belongs to another browser/);
        // Containment ends the session for its owner too, whose page says so and keeps what was typed.
        await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      } finally {
        await chrome.close();
      }
    },
  );

  await t.test(
    'three touches on glass open a sealed key, and its page and banners say so',
    { skip: withoutBrowser },
    async () => {
      for (const one of [ada, bo]) await one.signIn();
      const { approval, links } = await ask({ act: 'break-glass' });
      assert.equal((await both(approval)).state, 'executed');
      const keys: Person[] = [];
      for (const { admin, link } of links) {
        const key = new Person(product.urls, admin);
        assert.equal((await key.join(new URLSearchParams(new URL(link).hash.slice(1)).get('join')!)).status, 200);
        keys.push(key);
      }
      const chrome = await launch();
      try {
        const visitor = await Visitor.arrive(chrome, 'custodians', [glass], screenshotPlace());
        const page = await visitor.context.newPage();
        await page.goto(`${glass}/#break-glass=open`);
        const cdp = await visitor.context.newCDPSession(page);
        await cdp.send('WebAuthn.enable');
        const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
          options: {
            ...{ protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true },
            ...{ isUserVerified: true, automaticPresenceSimulation: true },
          },
        });
        await page.getByLabel(/Why/).fill('every administrator is away');
        await page.getByRole('button', { name: 'Begin' }).click();
        // One after the other puts a key in and touches it.
        for (const key of [keys[0]!, keys[2]!, keys[4]!]) {
          const { credential, privateKey, counter } = key.passkey;
          const base64 = (text: string) => Buffer.from(text, 'base64url').toString('base64');
          await cdp.send('WebAuthn.clearCredentials', { authenticatorId });
          await cdp.send('WebAuthn.addCredential', {
            authenticatorId,
            credential: {
              ...{ credentialId: base64(credential), isResidentCredential: true, rpId: new URL(glass).hostname },
              ...{ privateKey: base64(privateKey), signCount: counter + 1 },
              userHandle: Buffer.from(key.admin).toString('base64'),
            },
          });
          await page.getByRole('button', { name: /^Touch:/ }).click();
          await page.getByText('Touch the key').waitFor({ state: 'detached' });
        }
        await page.getByRole('heading', { name: 'The sealed keys are open' }).waitFor();
        const findings = await visitor.inspect(page, 'glass-opened');
        await page.reload();
        await page.getByText('The sealed keys are open').first().waitFor();
        findings.push(...(await visitor.inspect(page, 'glass-open-banner')));
        assert.deepEqual([...findings, ...visitor.troubles], []);
      } finally {
        await chrome.close();
      }
      const view = (await ada.call('GET', '/api/roster')).body as unknown as {
        breakGlass: { state: string; opening: string };
      };
      assert.equal(view.breakGlass.state, 'open');
      assert.equal(
        (await both((await ask({ act: 'review', opening: view.breakGlass.opening, verdict: 'proper' })).approval))
          .state,
        'executed',
      );
    },
  );

  await t.test('beyond the organisation’s day a second person signs on glass', async () => {
    for (const one of [ada, bo]) await one.signIn();
    const { caps } = await roster();
    assert.equal(
      (await both((await ask({ act: 'caps', caps: { ...caps, orgPerDay: 1 } })).approval)).state,
      'executed',
    );
    const grant: Grant = {
      ...{ v: 1, op: 'reveal', id: uuidv7(), admin: ada.admin, field: 'email', purpose: 'a test of the limits' },
      ...{ subjects: ['amber-otter-9801', 'amber-otter-9802'], notAfter: Date.now() + 60_000 },
      browserKey: Buffer.alloc(32, 9).toString('base64url'),
    };
    const reveal = (others?: object) =>
      send(glass, 'POST', '/api/reveal', {
        grant,
        assertion: ada.touch(grant),
        ...(others === undefined ? {} : { others }),
      });
    assert.equal((await reveal()).body['code'], 'second-person');
    const cosign = (who: Person) => send(glass, 'POST', '/api/cosign', { grant, assertion: who.touch(grant) });
    assert.equal((await cosign(ada)).status, 403, 'nobody is his own second person');
    assert.equal((await cosign(new Person(product.urls, bo.admin))).status, 403);
    assert.equal((await cosign(bo)).status, 200);
    const { others } = (await send(glass, 'GET', `/api/cosign/${grant.id}`)).body as { others: object[] };
    assert.equal(others.length, 1);
    assert.equal((await reveal(others)).status, 200);
    assert.equal((await reveal(others)).body['code'], 'used');
  });

  await t.test('the recovery key makes the roster anew; everybody sees it, and those of before are out', async () => {
    await bo.signIn();
    const anew = { home: product.home, glass, founders: 2, purpose: 'nobody could act any more' };
    const stranger = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    await assert.rejects(rosterAnew({ ...anew, key: stranger }), /refused/);
    const links = await rosterAnew({
      ...anew,
      key: recovery.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    });
    assert.equal(links.length, 2);
    assert.ok(await until(async () => (await bo.call('GET', '/api/roster')).status === 401, 10_000));
    assert.notEqual((await bo.signIn()).status, 200);
    const nora = new Person(product.urls, links[0]!.admin);
    assert.equal(
      (await nora.join(new URLSearchParams(new URL(links[0]!.link).hash.slice(1)).get('join')!)).status,
      200,
    );
    assert.equal((await nora.signIn()).status, 200);
    const view = (await nora.call('GET', '/api/roster')).body as unknown as View;
    assert.deepEqual([view.agree, view.admins.map(({ admin }) => admin)], [true, [nora.admin]]);
    const told = async () =>
      (await pool.query(`select from watch.alert where rule = 'roster-anew' and level = 'critical'`)).rowCount === 1;
    assert.ok(await until(told, 10_000), 'everybody is told');
  });
});
