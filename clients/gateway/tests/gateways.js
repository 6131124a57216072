// Gateways to test, and pictures to send.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { PNG } from 'pngjs';

import { buildApp } from '../dist/app.js';
import { loadConfig } from '../dist/config.js';

const HERE = fileURLToPath(new URL('..', import.meta.url));
export const SOURCE = fileURLToPath(new URL('../../..', import.meta.url));

const environmentOf = (server, settings) => Object.fromEntries(
  Object.entries({ SERVER: server, LISTEN_PORT: '0', SIZE_POLICY: 'fit', ...settings }).map(([key, value]) => [`STEPCAST_GATEWAY_${key}`, value]));

const callsOf = (origin) => ({
  origin,
  get: (path, options) => fetch(origin + path, options),
  post: (path, body, { headers, ...options } = {}) => fetch(origin + path, {
    method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers }, ...options,
  }),
});

/** A gateway in this process; `settings` are variables without their prefix. */
export async function openGateway(server, settings = {}) {
  const { app, gateway } = await buildApp(loadConfig(environmentOf(server, { LOG_LEVEL: 'silent', ...settings })));
  await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    ...callsOf(`http://127.0.0.1:${app.server.address().port}`),
    async stop() {
      gateway.drain();
      gateway.close();
      await app.close();
    },
  };
}

/** dist/main.js as a process of its own. */
export async function startGateway(server, settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'stepcast_gateway_'));
  const portFile = join(folder, 'port');
  const environment = environmentOf(server, { LISTEN_PORT_FILE: portFile, ...settings });
  const child = spawn(process.execPath, [join(HERE, 'dist/main.js')], { env: { PATH: process.env.PATH, ...environment } });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (log += text));
  const ended = once(child, 'exit');
  for (; !existsSync(portFile); await wait(5)) {
    if (child.exitCode !== null) throw new Error(log);
  }
  return {
    ...callsOf(`http://127.0.0.1:${JSON.parse(readFileSync(portFile, 'utf8')).port}`),
    log: () => log,
    /** The code that it ended with. */
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      rmSync(folder, { recursive: true });
      return code;
    },
  };
}

/** Server-sent events of an answer, as they come. */
export async function* eventsOf(response) {
  let text = '';
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    text += bytes;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const lines = block.split('\n').filter((line) => !line.startsWith(':'));
      if (lines.length === 0) continue;
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      yield { event: field('event'), data: JSON.parse(field('data')) };
    }
  }
}

/** A PNG of which `pixel` tells each [red, green, blue, alpha]. */
export function picture(width, height, pixel) {
  const png = new PNG({ width, height });
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) png.data.set(pixel(x, y), 4 * (y * width + x));
  }
  return PNG.sync.write(png);
}

export function fixture(name) {
  return JSON.parse(readFileSync(join(HERE, 'tests/fixtures', `${name}.json`), 'utf8'));
}
