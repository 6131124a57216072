// What each client has running through the A1111 API, for its progress and its interrupt: never anybody else's.
import { randomUUID } from 'node:crypto';

import type { PreviewEvent, StepcastEvent } from '@stepcast/client';

import type { Caller } from '../callers.js';
import { Problem } from '../problem.js';

export class Task {
  private readonly stop = new AbortController();
  private readonly fractions: number[];
  private preview: PreviewEvent | undefined;
  private steps = 0;
  private step = 0;
  private finished = 0;
  private readonly began = performance.now();

  constructor(readonly id: string, readonly images: number, private readonly showPreviews: boolean) {
    this.fractions = new Array<number>(images).fill(0);
  }

  /** Aborted by an interrupt. */
  get signal(): AbortSignal {
    return this.stop.signal;
  }

  interrupt(): void {
    this.stop.abort(new Problem('CANCELLED', 'INTERRUPTED', 'the task was interrupted', { http: 409 }));
  }

  onEvent(event: StepcastEvent): void {
    if (event.type === 'progress') {
      this.fractions[event.imageIndex] = event.evaluationsDone / Math.max(1, event.evaluationsTotal);
      this.steps = event.steps;
      this.step = Math.max(this.step, event.step);
    }
    if (event.type === 'preview' && this.showPreviews) this.preview = event;
    if (event.type === 'image') {
      this.fractions[event.imageIndex] = 1;
      this.finished += 1;
    }
  }

  /** As GET /sdapi/v1/progress tells it. */
  progress(withPicture: boolean) {
    const progress = this.fractions.reduce((sum, fraction) => sum + fraction, 0) / this.images;
    const seconds = (performance.now() - this.began) / 1000;
    return {
      progress,
      eta_relative: progress === 0 ? 0 : (seconds / progress) * (1 - progress),
      state: {
        skipped: false, interrupted: this.signal.aborted, stopping_generation: this.signal.aborted, job: this.id, job_count: this.images,
        job_timestamp: '0', job_no: this.finished, sampling_step: this.step, sampling_steps: this.steps,
      },
      current_image: withPicture && this.preview !== undefined ? this.preview.data.toString('base64') : null,
      textinfo: null,
      current_task: this.id,
    };
  }
}

const IDLE = {
  progress: 0, eta_relative: 0,
  state: {
    skipped: false, interrupted: false, stopping_generation: false, job: '', job_count: 0, job_timestamp: '0', job_no: 0,
    sampling_step: 0, sampling_steps: 0,
  },
  current_image: null, textinfo: null, current_task: null,
};

export class Tasks {
  private readonly running = new Map<string, Task[]>();

  begin(caller: Caller, id: string | undefined, images: number, showPreviews: boolean): Task {
    const task = new Task(id ?? randomUUID(), images, showPreviews);
    this.running.set(caller.key, [...(this.running.get(caller.key) ?? []), task]);
    return task;
  }

  end(caller: Caller, task: Task): void {
    const left = (this.running.get(caller.key) ?? []).filter((each) => each !== task);
    if (left.length === 0) this.running.delete(caller.key);
    else this.running.set(caller.key, left);
  }

  /** Of the task of that id, or the one that began first; idle where there is none. */
  progress(caller: Caller, id: string | undefined, withPicture: boolean) {
    return this.of(caller, id)[0]?.progress(withPicture) ?? IDLE;
  }

  /** Of that id, or all. */
  interrupt(caller: Caller, id: string | undefined): void {
    for (const task of this.of(caller, id)) task.interrupt();
  }

  private of(caller: Caller, id: string | undefined): Task[] {
    const own = this.running.get(caller.key) ?? [];
    return id === undefined ? own : own.filter((task) => task.id === id);
  }
}
