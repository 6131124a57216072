// The real server and the real gateway, on free ports.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../../../../..', import.meta.url));
const BINARIES = process.env['STEPCAST_BINARY_DIR'] ?? join(SOURCE, 'build/dev');
const PAGE = fileURLToPath(new URL('../../dist', import.meta.url));
const GATEWAY = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

const CONFIG = `models:
  - id: emoji
    path: ${SOURCE}/models/emoji
  - id: digits
    path: ${SOURCE}/models/digits
control_nets:
  - id: emoji-sketch
    path: ${SOURCE}/models/emoji-sketch
`;

const folder = mkdtempSync(join(tmpdir(), 'stepcast_page_'));
let files = 0;

/** The ports that a process writes once it listens. */
async function portsOf(child: ChildProcess, file: string, log: string): Promise<Record<string, number>> {
  while (!existsSync(file)) {
    await wait(5);
    if (child.exitCode !== null) throw new Error(readFileSync(log, 'utf8'));
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>;
}

export class StepcastServer {
  #child: ChildProcess | undefined;
  port = 0;
  adminPort = 0;

  /** Ready when it returns. After a stop it listens where it did before. */
  async start(): Promise<void> {
    const own = `${files++}`;
    const [config, ports, log] = [join(folder, 'config.yaml'), join(folder, `ports${own}`), join(folder, `log${own}`)];
    writeFileSync(config, CONFIG);
    const out = openSync(log, 'w');
    this.#child = spawn(join(BINARIES, 'stepcast-server'), [
      `--config=${config}`, `--port=${this.port}`, `--admin_port=${this.adminPort}`, '--metrics_port=0', '--profile_budget=0',
      `--port_file=${ports}`,
    ], { stdio: ['ignore', out, out], env: { ...process.env, GOMP_SPINCOUNT: '200' } });
    const { port, admin_port: adminPort } = await portsOf(this.#child, ports, log);
    this.port = port ?? 0;
    this.adminPort = adminPort ?? 0;
    execFileSync(join(BINARIES, 'stepcast'), ['--host', `127.0.0.1:${this.port}`, 'health', '--wait', '120', '--while-pid', String(this.#child.pid)]);
  }

  /** SIGKILL: as a machine that fails. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

export interface RunningGateway {
  origin: string;
  stop: () => Promise<void>;
}

export async function startGateway(server: StepcastServer, admin = true): Promise<RunningGateway> {
  const own = `${files++}`;
  const [ports, log] = [join(folder, `gateway${own}`), join(folder, `gateway_log${own}`)];
  const out = openSync(log, 'w');
  const child = spawn(process.execPath, [GATEWAY], { stdio: ['ignore', out, out], env: {
    ...process.env,
    STEPCAST_GATEWAY_SERVER: `127.0.0.1:${server.port}`,
    STEPCAST_GATEWAY_ADMIN: admin ? `127.0.0.1:${server.adminPort}` : '',
    STEPCAST_GATEWAY_LISTEN_PORT: '0',
    STEPCAST_GATEWAY_LISTEN_PORT_FILE: ports,
    STEPCAST_GATEWAY_PAGE: PAGE,
    STEPCAST_GATEWAY_DRAIN_TIMEOUT: '100ms',
  } });
  const { port } = await portsOf(child, ports, log);
  return {
    origin: `http://127.0.0.1:${port ?? 0}`,
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export function cleanUp(): void {
  rmSync(folder, { recursive: true, force: true });
}
