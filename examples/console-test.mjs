// How a console is tested against the stand-in, with Node (20 or later) alone.
//
//     KOOTASK_PROGRAM=target/release/kootask node --test examples/console-test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';

const state = {
  tasks: [{ srcUserId: '137', dstUserId: '150', status: 'SUCCESS', age: '1h' }],
  rules: [{ match: { srcUserId: '139*' }, then: { end: 'FAILED', resultCode: '18000205' } }],
};
let standIn, url;
before(async () => {
  const args = ['dev', '--listen', '127.0.0.1:0', '--progress', 'new 1 poll, executing 2 polls'];
  const env = { ...process.env, RUST_LOG: 'kootask::ready=info' };
  standIn = spawn(process.env.KOOTASK_PROGRAM ?? 'kootask', args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const [ready] = await once(createInterface(standIn.stdout), 'line');
  url = `http://${JSON.parse(ready).address}`;
});
after(() => standIn.kill());

async function call(method, path, body, headers) {
  headers = { 'Content-Type': 'application/json', ...headers };
  return (await fetch(url + path, { method, headers, body: body && JSON.stringify(body) })).json();
}
/** A console of a tenant of its own, so that tests run at once; in its place stands yours. */
async function consoleOf(tenant = randomUUID()) {
  await call('PUT', `/kootask/dev/state?tenant=${tenant}`, state);
  const send = (method, path, body) => call(method, `/koodrive/ose/v1/task/${path}`, body, {
    Authorization: `Bearer tenant.${tenant}`, 'X-User-Id': '1505084218764547200',
    'X-Date': new Date().toISOString().replace(/[-:]|\.\d+/g, ''),
  });
  const polls = async (path, seen = []) => seen.length < 4 ? polls(path, [...seen, await send('GET', path)]) : seen;
  const transfer = async (srcUserId) => polls((await send('POST', 'create', { srcUserId, dstUserId: '150' })).taskId);
  const verify = async (match, count) => {
    const verdict = await call('POST', `/kootask/dev/journal/verify?tenant=${tenant}`, { match, count });
    assert.ok(verdict.ok, verdict.text ?? verdict.msg);
  };
  return { send, polls, transfer, verify };
}
describe('a console', { concurrency: true }, () => {
  for (const name of ['a', 'b', 'c', 'd']) test(`${name} watches a transfer to its end`, async () => {
    const { send, transfer, verify } = await consoleOf();
    assert.deepEqual((await transfer('138')).map((poll) => poll.status), [0, 1, 1, 2]);
    assert.deepEqual((await send('GET', 'list')).taskList.map((task) => task.taskName), ['137', '138']);
    await verify({ call: 'create', srcUserId: '138' }, 1);
  });
  test('sees why a transfer failed', async () =>
    assert.equal((await (await consoleOf()).transfer('1391')).at(-1).resultCode, '18000205'));
  test('sees the failed rows of an import', async () => {
    const { send, polls } = await consoleOf();
    const { taskId } = await send('POST', 'create', { taskType: 1, resultId: 'staff--rows-97-3', orgId: '1', orgUserId: '2' });
    const { data } = (await polls(`result?taskId=${taskId}`)).at(-1);
    assert.deepEqual([data.successCount, data.failInfoList.length], [97, 3]);
  });
});
