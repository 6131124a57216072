#!/usr/bin/env node
// The process: configuration, one listener, an orderly end.
import { renameSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';

import type { FastifyInstance } from 'fastify';

import { buildApp } from './app.js';
import { type Config, ConfigError, loadConfig } from './config.js';
import type { Gateway } from './gateway.js';

function tellPort(file: string, port: number): void {
  if (file === '') return;
  // In one piece: who waits for it reads all of it.
  writeFileSync(`${file}.new`, `${JSON.stringify({ port })}\n`);
  renameSync(`${file}.new`, file);
}

/** The first signal lets calls end; the second, or the end of patience, cancels them. */
function endOnSignal(app: FastifyInstance, gateway: Gateway, config: Config): void {
  const end = (): void => {
    if (gateway.draining) {
      gateway.close();
      return;
    }
    gateway.drain();
    app.log.info({ calls: gateway.limits.running }, 'draining');
    const patience = setTimeout(() => gateway.close(), config.drain_timeout);
    void Promise.all([app.close(), gateway.jobs.idle()]).then(() => {
      clearTimeout(patience);
      gateway.close();
      app.log.info('stopped');
    });
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

async function main(): Promise<void> {
  const config = loadConfig();
  const { app, gateway } = await buildApp(config);
  endOnSignal(app, gateway, config);
  await app.listen({ host: config.listen.host, port: config.listen.port });
  tellPort(config.listen.port_file, (app.server.address() as AddressInfo).port);
}

main().catch((error: Error & { code?: string }) => {
  const told = error instanceof ConfigError || error.code?.startsWith('E') ? error.message : error.stack;
  process.stderr.write(`stepcast-gateway: ${told}\n`);
  process.exit(2);
});
