// Servers to test against: the real binary, and one that says exactly what a test wants.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';

import { ErrorInfo, RetryInfo } from '../dist/gen/google/rpc/error_details.js';
import { Status } from '../dist/gen/google/rpc/status.js';
import { GenerateRequest, GenerateResponse } from '../dist/gen/stepcast/v1/image_generation.js';

const SOURCE = fileURLToPath(new URL('../../..', import.meta.url));
const BINARIES = process.env.STEPCAST_BINARY_DIR ?? join(SOURCE, 'build/dev');

// A test that fails leaves its servers behind, and Node waits for them.
const running = new Set();
after(() => running.forEach((child) => child.kill('SIGKILL')));

/** stepcast-server on free ports with a bundled model, ready. */
export async function startServer({ config = '', model = 'digits', ca } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'stepcast_node_'));
  const path = (name) => join(folder, name);
  writeFileSync(path('config.yaml'), `models:\n  - id: ${model}\n    path: ${SOURCE}/models/${model}\n${config}`);
  const log = openSync(path('log'), 'w');
  const flags = ['--port=0', '--admin_port=0', '--metrics_port=0', '--profile_budget=0'];
  const child = spawn(
    join(BINARIES, 'stepcast-server'), [`--config=${path('config.yaml')}`, ...flags, `--port_file=${path('ports')}`],
    { stdio: ['ignore', log, log], env: { ...process.env, GOMP_SPINCOUNT: '200' } },
  );
  running.add(child);
  const ended = once(child, 'exit').finally(() => running.delete(child));
  const alive = () => {
    if (child.exitCode !== null) throw new Error(readFileSync(path('log'), 'utf8'));
  };
  // The file appears in one piece once the server listens.
  for (; !existsSync(path('ports')); await wait(5)) alive();
  const { port, admin_port: adminPort } = JSON.parse(readFileSync(path('ports'), 'utf8'));
  const address = `127.0.0.1:${port}`;
  const trust = ca === undefined ? [] : ['--ca', ca];
  execFileSync(
    join(BINARIES, 'stepcast'), ['--host', address, ...trust, 'health', '--wait', '120', '--while-pid', `${child.pid}`],
  );
  return {
    address,
    admin: `127.0.0.1:${adminPort}`,
    signal: (name) => child.kill(name),
    ended: () => child.exitCode !== null || child.signalCode !== null,
    calls: () => readFileSync(path('log'), 'utf8').split('"msg":"call"').length - 1,
    /** The log's line of one call, which the server writes when it has ended there. */
    async logged(requestId) {
      for (;; await wait(5)) {
        const lines = readFileSync(path('log'), 'utf8').split('\n').slice(0, -1).filter((line) => line.startsWith('{'));
        const line = lines.map((text) => JSON.parse(text)).find((entry) => entry.request_id === requestId);
        if (line !== undefined) return line;
        alive();
      }
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** An error as the server makes them. */
export function refusal(code, reason, { delayMs, pushback } = {}) {
  const details = [
    { typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
      value: Buffer.from(ErrorInfo.encode({ reason, domain: 'stepcast.dev', metadata: {} }).finish()) },
  ];
  if (delayMs !== undefined) {
    const retryDelay = { seconds: Math.floor(delayMs / 1000), nanos: (delayMs % 1000) * 1e6 };
    const value = Buffer.from(RetryInfo.encode({ retryDelay }).finish());
    details.push({ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value });
  }
  const metadata = new Metadata();
  const bytes = Status.encode({ code: status[code], message: reason, details }).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  if (pushback !== undefined) metadata.set('grpc-retry-pushback-ms', pushback);
  return Object.assign(new Error(reason), { code: status[code], details: reason, metadata });
}

/** An error as the gRPC library makes them when a connection, or a stream on it, is gone. */
export function cutOff(code, details) {
  return Object.assign(new Error(details), { code: status[code], details, metadata: new Metadata() });
}

/** Answers the n-th Generate call with what the n-th script yields, or the `refusal` that it throws. */
export async function startScripted(...scripts) {
  const calls = [];
  const server = new Server();
  const generate = (call) => {
    calls.push({ request: call.request, metadata: call.metadata.getMap(), time: Date.now() });
    call.on('error', () => undefined);
    try {
      let sequence = 0;
      for (const message of scripts[calls.length - 1](call.request)) {
        call.write(GenerateResponse.fromPartial({ ...message, sequence: sequence++ }));
      }
      call.end();
    } catch (error) {
      call.emit('error', error);
    }
  };
  server.addService({
    generate: {
      path: '/stepcast.v1.ImageGenerationService/Generate',
      requestStream: false,
      responseStream: true,
      requestSerialize: (message) => Buffer.from(GenerateRequest.encode(message).finish()),
      requestDeserialize: (bytes) => GenerateRequest.decode(bytes),
      responseSerialize: (message) => Buffer.from(GenerateResponse.encode(message).finish()),
      responseDeserialize: (bytes) => GenerateResponse.decode(bytes),
    },
  }, { generate });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return { address: `127.0.0.1:${port}`, calls, stop: () => server.forceShutdown() };
}

/** An address at which nobody listens: a port that was free a moment ago. */
export async function addressOfNobody() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return `127.0.0.1:${port}`;
}
