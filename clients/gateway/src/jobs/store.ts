// Jobs in memory: bounded, for a while, each for its owner alone.
import { createHash } from 'node:crypto';

import type { Config } from '../config.js';
import { Problem } from '../problem.js';
import { Job } from './job.js';

interface Remembered {
  body: string;
  job: Job;
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

export class JobStore {
  // In order of age.
  private readonly jobs = new Map<string, Job>();
  private readonly keys = new Map<string, Remembered>();

  constructor(private readonly config: Config['jobs']) {}

  get size(): number {
    return this.jobs.size;
  }

  /** The job that the same owner began with that key; throws where the body was another one. */
  recall(owner: string, key: string, body: unknown): Job | undefined {
    const known = this.keys.get(digest([owner, key]));
    if (known === undefined || !this.jobs.has(known.job.id)) return undefined;
    if (known.body === digest(body)) return known.job;
    throw new Problem('ALREADY_EXISTS', 'IDEMPOTENCY_CONFLICT', 'Idempotency-Key: was used for another body');
  }

  /** Makes room: the oldest that are done go first. Throws RESOURCE_EXHAUSTED where there is none. */
  add(job: Job, key: string | undefined, body: unknown): void {
    const own = [...this.jobs.values()].filter((each) => each.owner === job.owner);
    if (own.length >= this.config.max_per_client) this.evict(own, 'you have as many jobs here as you may');
    if (this.jobs.size >= this.config.max) this.evict([...this.jobs.values()], 'there are as many jobs here as may be');
    this.jobs.set(job.id, job);
    if (key !== undefined) this.keys.set(digest([job.owner, key]), { body: digest(body), job });
    job.on('change', () => {
      if (job.done) this.keep(job);
    });
  }

  /** Of that owner; nobody else learns that it exists. */
  get(owner: string, id: string): Job {
    const job = this.jobs.get(id);
    if (job !== undefined && job.owner === owner) return job;
    throw new Problem('NOT_FOUND', 'JOB_NOT_FOUND', 'there is no such job, or no longer');
  }

  of(owner: string): Job[] {
    return [...this.jobs.values()].filter((job) => job.owner === owner);
  }

  /** Resolves when none is running. */
  async idle(): Promise<void> {
    for (const job of this.jobs.values()) {
      if (!job.done) await new Promise<void>((resolve) => job.on('change', () => job.done && resolve()));
    }
  }

  private keep(job: Job): void {
    setTimeout(() => this.drop(job), this.config.ttl).unref();
    let total = [...this.jobs.values()].reduce((sum, each) => sum + each.bytes, 0);
    for (const each of this.jobs.values()) {
      if (total <= this.config.max_bytes) break;
      if (!each.done || each === job) continue;
      total -= each.bytes;
      this.drop(each);
    }
  }

  private evict(candidates: Job[], message: string): void {
    const oldest = candidates.find((job) => job.done);
    if (oldest === undefined) throw new Problem('RESOURCE_EXHAUSTED', 'JOBS_FULL', message, { retryAfterMs: 5000 });
    this.drop(oldest);
  }

  private drop(job: Job): void {
    this.jobs.delete(job.id);
    for (const [key, known] of this.keys) {
      if (known.job === job) this.keys.delete(key);
    }
  }
}
