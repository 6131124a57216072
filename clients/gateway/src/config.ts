// What the gateway is told: a YAML or JSON file, and over it the environment. Unknown and wrong keys are errors.
import { readFileSync } from 'node:fs';

import { parse } from 'yaml';
import { z } from 'zod';

export class ConfigError extends Error {}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const BINARY: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

function quantity(units: Record<string, number>, what: string) {
  const names = Object.keys(units).join('|');
  return z.union([z.string(), z.number()]).transform((given, context) => {
    const parts = new RegExp(`^([0-9]+(?:\\.[0-9]+)?)(${names})$`).exec(String(given));
    const unit = parts?.[2] === undefined ? undefined : units[parts[2]];
    if (parts === null || unit === undefined) {
      context.addIssue({ code: 'custom', message: `got ${JSON.stringify(given)}; allowed: ${what}` });
      return z.NEVER;
    }
    return Number(parts[1]) * unit;
  });
}

const duration = (fallback: string) => quantity(UNITS, 'a duration like 250ms, 30s, 10m, 1h').prefault(fallback);
const bytes = (fallback: string) => quantity(BINARY, 'a size like 1048576, 64KiB, 32MiB, 1GiB').prefault(fallback);
const count = (fallback: number, least = 0, most = 1_000_000) => z.coerce.number().int().min(least).max(most).default(fallback);
const section = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).prefault({} as never);

const TENANT = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

const token = z.strictObject({
  /** The secret itself, or sha256 of it in 64 hex digits. */
  token: z.string().min(8).optional(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  tenant: z.string().regex(TENANT),
  /** What the server is sent as `authorization: Bearer ...` in place of it; default: nothing. */
  upstream_token: z.string().optional(),
  /** Ids of the models it may paint with; default: all. */
  models: z.array(z.string()).optional(),
}).refine((entry) => (entry.token === undefined) !== (entry.sha256 === undefined), 'needs either token or sha256');

export const Config = z.strictObject({
  listen: section({
    host: z.string().default('127.0.0.1'),
    port: count(8080, 0, 65535),
    /** File that receives {"port": n} once the gateway listens. */
    port_file: z.string().default(''),
  }),
  /** Address of the server, or several with commas between them; "dns:///name:port": all that the name resolves to, in turn. */
  server: z.string().default('localhost:50051'),
  /** Whether every call goes to the next of all its replicas ("dns:///stepcast:50051"), instead of all to the first. */
  balance: z.stringbool().or(z.boolean()).default(false),
  /** Address of its admin port, for the view of the scheduler; "": none. */
  admin: z.string().default(''),
  tls: section({
    /** Whether the server is spoken to with TLS; by the roots of Node, or those of ca_file. */
    enabled: z.stringbool().or(z.boolean()).default(false),
    ca_file: z.string().default(''),
    cert_file: z.string().default(''),
    key_file: z.string().default(''),
  }),
  /** How people reach the gateway ("https://paint.example"), for URLs in answers; "": as the request was addressed. */
  public_url: z.string().regex(/^(https?:\/\/[^\s/]+)?$/, 'got no origin like https://paint.example').default(''),
  /** Whether X-Forwarded-* of a proxy are believed. */
  trust_proxy: z.stringbool().or(z.boolean()).default(false),
  auth: section({
    /** none: everybody; tokens: those of the table; passthrough: the server judges what comes. */
    mode: z.enum(['none', 'tokens', 'passthrough']).default('none'),
    tokens: z.array(token).default([]),
  }),
  tenant_metadata_key: z.string().regex(/^[a-z0-9._-]*$/).default('x-stepcast-tenant'),
  /** Names that clients know, each of a model of the server; "": its default model. */
  aliases: z.record(z.string(), z.string())
    .default({ 'gpt-image-1': '', 'gpt-image-1-mini': '', 'dall-e-2': '', 'dall-e-3': '' }),
  /** What is done with a size that the model does not paint: see README. */
  size_policy: z.enum(['strict', 'nearest', 'fit']).default('nearest'),
  /** OpenAI's `quality`, as a multiple of the model's own steps. */
  quality_steps: section({
    low: z.coerce.number().positive().max(10).default(0.5),
    medium: z.coerce.number().positive().max(10).default(1),
    high: z.coerce.number().positive().max(10).default(1.5),
  }),
  limits: section({
    max_body_bytes: bytes('32MiB'),
    /** Calls that paint, at the same time. */
    max_calls: count(64, 1),
    max_calls_per_client: count(16, 1),
    /** Live views of the scheduler, at the same time. */
    max_watchers: count(32),
    /** Pictures of one HTTP request; more than the server paints in one call are several calls. */
    max_images: count(10, 1, 100),
    /** A call that paints. */
    call_timeout: duration('10m'),
    /** A request that only asks. */
    query_timeout: duration('10s'),
    /** Receiving a body. */
    body_timeout: duration('60s'),
  }),
  retry: section({ rounds: count(2, 1, 10), max_wait: duration('2s') }),
  /** Pictures behind signed URLs. */
  files: section({
    ttl: duration('1h'),
    max_bytes: bytes('256MiB'),
    /** At least 16 characters; "": a random one, so that URLs die with the process. */
    signing_key: z.string().regex(/^$|^.{16,}$/s, 'needs at least 16 characters').default(''),
  }),
  jobs: section({
    /** A job may take. */
    timeout: duration('6h'),
    /** A job is kept after it has ended. */
    ttl: duration('1h'),
    max: count(1000, 1),
    max_per_client: count(200, 1),
    max_bytes: bytes('256MiB'),
  }),
  /** A stream never stays silent for longer. */
  heartbeat: quantity(UNITS, 'a duration up to 15s').refine((value) => value >= 100 && value <= 15_000, 'allowed: 100ms..15s')
    .prefault('10s'),
  /** How long SIGTERM lets calls go on. */
  drain_timeout: duration('30s'),
  /** Folder of the page; "": the one that comes with the gateway. */
  page: z.string().default(''),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
});
export type Config = z.infer<typeof Config>;

const PREFIX = 'STEPCAST_GATEWAY_';
// What Kubernetes tells each pod of a Service that is called stepcast-gateway.
const NOT_OURS = /^STEPCAST_GATEWAY_(SERVICE_(HOST|PORT)|PORT)(_|$)/;
const SECTIONS = ['listen', 'tls', 'auth', 'quality_steps', 'limits', 'retry', 'files', 'jobs'];
const STRUCTURED = new Set(['auth.tokens', 'aliases']);

/** The key that a variable sets: STEPCAST_GATEWAY_LISTEN_PORT is listen.port. */
function keyOf(variable: string): string[] {
  const name = variable.slice(PREFIX.length).toLowerCase();
  const inside = SECTIONS.find((candidate) => name.startsWith(`${candidate}_`));
  return inside === undefined ? [name] : [inside, name.slice(inside.length + 1)];
}

function structured(variable: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(`${variable}: got no JSON`);
  }
}

function overlay(tree: Record<string, unknown>, environment: NodeJS.ProcessEnv): void {
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || variable === `${PREFIX}CONFIG` || NOT_OURS.test(variable)) continue;
    const path = keyOf(variable);
    const value = STRUCTURED.has(path.join('.')) ? structured(variable, text ?? '') : text;
    if (path.length === 1) tree[path[0]!] = value;
    else tree[path[0]!] = { ...(tree[path[0]!] as object | undefined), [path[1]!]: value };
  }
}

function readTree(file: string): Record<string, unknown> {
  let tree: unknown;
  try {
    tree = parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new ConfigError(`${file}: ${(error as Error).message}`);
  }
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) throw new ConfigError(`${file}: got no map of keys`);
  return tree as Record<string, unknown>;
}

/** Throws ConfigError, which names every wrong key. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const file = environment[`${PREFIX}CONFIG`];
  const tree = file ? readTree(file) : {};
  overlay(tree, environment);
  const parsed = Config.safeParse(tree);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'configuration'}: ${issue.message}`);
    throw new ConfigError(lines.join('\n'));
  }
  const config = parsed.data;
  if (config.auth.mode === 'tokens' && config.auth.tokens.length === 0) {
    throw new ConfigError('auth.tokens: got none; allowed with auth.mode tokens: at least one');
  }
  return config;
}
