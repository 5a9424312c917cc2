import assert from 'node:assert/strict';
import { test } from 'node:test';
import { otherProduct } from './other-products.ts';

test('requests of each exploit family get the answer that their senders look for', () => {
  for (const [path, status] of [
    ['/mifs/aad/api/v2/ping', 200],
    ['/mifs/asfV3/api/v2/ping', 200],
    ['/mifs/aad/api/v2/authorized/users', 401],
    ['/mifs/rs/api/v2/featureusage', 400],
    ['/mifs/admin/rest/api/v2/featureusage', 400],
    ['/mifs/c/appstore/fob/3/1/sha256:kid=1', 404],
    ['/mifs/c/aftstore/fob/3/1/sha256:kid=1', 404],
    ['/mifs/403.jsp', 403],
    ['/mifs/user/login.jsp', 200],
    ['/mifs', 302],
    ['/mics/', 302],
    ['/mics/services/MICSLogService', 302],
    ['/mifs/anything/else', 404],
  ] as const) {
    assert.equal(otherProduct(path)?.status, status, path);
    assert.doesNotMatch(String(otherProduct(path)?.body ?? ''), /bartizan/i);
  }
});

test('nothing of ours is taken for another product', () => {
  for (const path of ['/', '/mdm', '/enrol', '/mifsx', '/acme/directory', '/healthz', '/x/mifs/'])
    assert.equal(otherProduct(path), undefined, path);
});
