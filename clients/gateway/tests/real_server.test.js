// The gateway against the real server and its bundled models: one server for all, because it is what takes time.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { startServer } from '../../node/tests/servers.js';
import { a1111Tests } from './a1111.js';
import { openGateway, SOURCE, startGateway } from './gateways.js';
import { jobTests, pageTests } from './jobs.js';
import { openaiTests } from './openai.js';

const TOKENS = [
  { token: 'token-of-a', tenant: 'a' }, { token: 'token-of-b', tenant: 'b' },
  { token: 'token-of-digits', tenant: 'c', models: ['digits'] },
];
const own = {};

before(async () => {
  const models = `${SOURCE}/models`;
  const config = `  - {id: digits, path: ${models}/digits}\ncontrol_nets:\n  - {id: emoji-sketch, path: ${models}/emoji-sketch}\nloras_dir: ${SOURCE}/loras\n`;
  own.server = await startServer({ model: 'emoji', config });
  [own.gateway, own.locked] = await Promise.all([
    startGateway(own.server.address, { ADMIN: own.server.admin }),
    openGateway(own.server.address, { AUTH_MODE: 'tokens', AUTH_TOKENS: JSON.stringify(TOKENS), JOBS_MAX_PER_CLIENT: '2' }),
  ]);
});
after(async () => {
  const [code] = await Promise.all([own.gateway?.stop(), own.locked?.stop()]);
  await own.server?.stop();
  assert.equal(code, 0);
  assert.ok(own.gateway.log().includes('Server listening') && !own.gateway.log().includes('apple'), 'prompts stay out of the log');
});

openaiTests(own);
a1111Tests(own);
jobTests(own);
pageTests(own);

const PACKAGES = process.env.STEPCAST_GATEWAY_PYTHON ?? `${SOURCE}/.deps/gateway_python`;
test('python: openai and LangChain', { skip: existsSync(PACKAGES) ? false : 'its packages are not installed' }, async () => {
  const environment = { ...process.env, PYTHONPATH: PACKAGES, OPENAI_API_KEY: 'none', OPENAI_BASE_URL: `${own.gateway.origin}/v1` };
  const { stdout } = await promisify(execFile)('python3', [`${SOURCE}/clients/gateway/tests/python_clients.py`], { env: environment });
  assert.equal(stdout, 'ok\n');
});
