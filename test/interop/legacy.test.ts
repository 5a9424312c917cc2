import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newPhone, openLine, Phone } from '#sim';
import { devicePlane } from './phone-stack.ts';

const line = openLine();
after(() => line.close());

const accepted = `select coalesce(sum((body->'unmapped'->>'count')::int), 0)::int as n from log.event where kind = 'edge.legacy'`;

test('old cryptography is accepted and counted, or refused and counted, as the installation says', async () => {
  for (const allowLegacy of [true, false]) {
    const plane = await devicePlane({ allowLegacy });
    try {
      const caps = await (await fetch(`${plane.url}/scep?operation=GetCACaps`)).text();
      assert.equal(/SHA-1|DES3/.test(caps), allowLegacy, caps);
      const [modern, old] = await plane.offer(2);
      const phone = new Phone(newPhone({ deviceName: 'One', phoneNumber: '+447700900101' }), { send: line.send });
      await phone.enrol(modern!.link);
      assert.equal((await plane.counted())['legacy'], undefined);
      assert.equal((await plane.owner<{ n: number }>(accepted, []))[0]!.n, 0, 'a modern phone leaves no trace');
      const elder = new Phone(newPhone({ deviceName: 'Two', phoneNumber: '+447700900102' }), {
        send: line.send,
        digest: 'sha1',
      });
      if (allowLegacy) await elder.enrol(old!.link);
      else await assert.rejects(elder.enrol(old!.link));
      const refused = (await plane.counted())['legacy'] ?? 0;
      const { n } = (await plane.owner<{ n: number }>(accepted, []))[0]!;
      assert.deepEqual([n > 0, refused > 0], [allowLegacy, !allowLegacy], `${n} accepted, ${refused} refused`);
    } finally {
      await plane.close();
    }
  }
});
