// One job: what it is asked, how far it is, what came out.
import { EventEmitter } from 'node:events';
import { randomUUID } from 'node:crypto';

import type { ImageEvent, PreviewEvent, StepcastEvent } from '@stepcast/client';

import type { Painting, Usage } from '../paint/painting.js';
import { Problem, problemJson, problemOf } from '../problem.js';

export type JobStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** Emits `change` whenever something about it does. */
export class Job extends EventEmitter {
  readonly id = randomUUID();
  readonly created = Date.now();
  status: JobStatus = 'queued';
  finished: number | undefined;
  preview: PreviewEvent | undefined;
  images: readonly ImageEvent[] = [];
  private readonly stop = new AbortController();
  private readonly fractions: number[];
  private queuePosition = 0;
  private error: Problem | undefined;
  private warnings: readonly string[] = [];
  private usage: Usage | undefined;

  constructor(readonly owner: string, readonly model: string, count: number) {
    super();
    this.setMaxListeners(0);
    this.fractions = new Array<number>(count).fill(0);
  }

  get signal(): AbortSignal {
    return this.stop.signal;
  }

  get done(): boolean {
    return this.finished !== undefined;
  }

  /** Bytes of the pictures that it keeps. */
  get bytes(): number {
    return this.images.reduce((sum, image) => sum + image.data.length, this.preview?.data.length ?? 0);
  }

  cancel(): void {
    this.stop.abort(new Problem('CANCELLED', 'CLIENT_CANCELLED', 'the job was cancelled'));
  }

  onEvent(event: StepcastEvent): void {
    if (event.type === 'accepted') this.queuePosition = event.queuePosition;
    if (event.type === 'progress') {
      this.fractions[event.imageIndex] = event.evaluationsDone / Math.max(1, event.evaluationsTotal);
      this.queuePosition = event.queuePosition;
      if (event.evaluationsDone > 0) this.status = 'running';
    }
    if (event.type === 'image') this.fractions[event.imageIndex] = 1;
    if (event.type === 'preview') this.preview = event;
    this.emit('change');
  }

  succeed(painting: Painting): void {
    this.images = painting.images;
    this.warnings = painting.warnings;
    this.usage = painting.usage;
    this.end('succeeded');
  }

  fail(error: unknown): void {
    this.error = problemOf(error);
    this.end(this.stop.signal.aborted ? 'cancelled' : 'failed');
  }

  json() {
    const at = `/v1/jobs/${this.id}`;
    const progress = this.status === 'succeeded' ? 1 : this.fractions.reduce((sum, each) => sum + each, 0) / this.fractions.length;
    return {
      id: this.id, object: 'job', status: this.status, model: this.model, progress, queue_position: this.queuePosition,
      created_at: Math.floor(this.created / 1000), finished_at: this.finished === undefined ? null : Math.floor(this.finished / 1000),
      poll_url: at, events_url: `${at}/events`, preview_url: this.preview === undefined ? null : `${at}/preview`,
      images: this.images.map(({ mime, width, height, seed, sha256 }, i) => ({ url: `${at}/images/${i}`, mime, width, height, seed, sha256 })),
      warnings: this.warnings, usage: this.usage ?? null,
      error: this.error === undefined ? null : problemJson(this.error),
    };
  }

  private end(status: JobStatus): void {
    this.status = status;
    this.preview = undefined;
    this.finished = Date.now();
    this.emit('change');
  }
}
