// What all routes share.
import { setMaxListeners } from 'node:events';

import type { FastifyReply, FastifyRequest } from 'fastify';

import { type Caller, Callers } from './callers.js';
import type { Config } from './config.js';
import { Contract } from './contract.js';
import { Files } from './files.js';
import { JobStore } from './jobs/store.js';
import { Limits } from './limits.js';
import { Metrics } from './metrics.js';
import { Problem, problemOf } from './problem.js';
import { Upstream } from './upstream.js';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | undefined;
  }
}

export class Gateway {
  readonly contract = new Contract();
  readonly upstream: Upstream;
  readonly callers: Callers;
  readonly limits: Limits;
  readonly files: Files;
  readonly jobs: JobStore;
  readonly metrics: Metrics;
  private readonly stop = new AbortController();
  /** Aborted when what still runs is to end. */
  readonly stopping = this.stop.signal;
  private readonly leave = new AbortController();
  /** Aborted when no new work is taken: whoever only watches is to go. */
  readonly leaving = this.leave.signal;

  constructor(readonly config: Config) {
    setMaxListeners(0, this.stopping, this.leaving);
    this.upstream = new Upstream(config, this.contract);
    this.callers = new Callers(config);
    this.limits = new Limits(config.limits);
    this.files = new Files(config.files);
    this.jobs = new JobStore(config.jobs);
    this.metrics = new Metrics(() => this.limits.running, () => this.jobs.size, () => this.files.bytes);
  }

  /** Counts and logs a failure, and returns it worded. */
  fail(request: FastifyRequest, error: unknown): Problem {
    const problem = problemOf(error);
    this.metrics.failures.inc({ reason: problem.reason || problem.status });
    if (problem.status === 'INTERNAL') request.log.error({ err: error }, 'failed');
    else request.log.info({ status: problem.status, reason: problem.reason }, 'refused');
    return problem;
  }

  /** How the client reaches the gateway, without a slash at its end. */
  originOf(request: FastifyRequest): string {
    return this.config.public_url || `${request.protocol}://${request.host}`;
  }

  get draining(): boolean {
    return this.leaving.aborted;
  }

  drain(): void {
    this.leave.abort();
  }

  /** Ends what still runs, and lets go of the server. */
  close(): void {
    this.stop.abort();
    this.upstream.close();
  }
}

export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === undefined) throw new Error('a route without identification');
  return request.caller;
}

/** Refuses a model that the caller may not use; "" is the server's default. */
export function checkModel(caller: Caller, model: string): void {
  if (caller.models === undefined || caller.models.has(model)) return;
  const allowed = [...caller.models].join(', ');
  throw new Problem('PERMISSION_DENIED', 'MODEL_FORBIDDEN', `model: got ${JSON.stringify(model)}; allowed to you: ${allowed}`);
}

/** Aborts when the client has gone before its answer was whole, or the gateway ends. */
export function abortOnClose(reply: FastifyReply, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return AbortSignal.any([gone.signal, stopping]);
}
