// Messages of a stream to events. No I/O.
import { createHash } from 'node:crypto';

import { brokenStream } from './errors.js';
import type { AcceptedEvent, CompletedEvent, ImageEvent, Result, StepcastEvent } from './events.js';
import type { Duration } from './gen/google/protobuf/duration.js';
import type {
  Accepted, Completed, GenerateImageResponse, GenerateRequest, GenerateResponse, ImageChunk,
} from './gen/stepcast/v1/image_generation.js';
import type { Cost } from './gen/stepcast/v1/statistics.js';

function seconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : duration.seconds + duration.nanos / 1e9;
}

function checkPicture(index: number, data: Buffer, sha256: string): void {
  const came = createHash('sha256').update(data).digest('hex');
  if (came !== sha256) throw brokenStream(`picture ${index}: its bytes have sha256 ${came}, the server says ${sha256}`);
}

function sum(some: Cost | undefined, more: Cost | undefined): Cost | undefined {
  if (some === undefined || more === undefined) return some ?? more;
  return {
    rowEvaluations: some.rowEvaluations + more.rowEvaluations, deviceSeconds: some.deviceSeconds + more.deviceSeconds,
  };
}

function completedEvent(
  { timings, batch, modelSha256 }: Completed | GenerateImageResponse, evaluations: number, cost: Cost | undefined,
): CompletedEvent {
  return {
    type: 'completed',
    timings: {
      queued: seconds(timings?.queued) ?? 0,
      encode: seconds(timings?.encode) ?? 0,
      denoise: seconds(timings?.denoise) ?? 0,
      decode: seconds(timings?.decode) ?? 0,
      total: seconds(timings?.total) ?? 0,
    },
    evaluations,
    denoiseTicks: batch?.denoiseTicks ?? 0,
    meanRows: batch?.meanRows ?? 0,
    modelSha256,
    cost,
  };
}

/**
 * Reads one call, over as many attempts as it takes; pictures that are whole are told once. A call of which there are tokens
 * goes on with its missing pictures, one after the other; without any the whole request is sent again.
 */
export class Assembly {
  /** Whether the server has begun to answer this attempt. */
  started = false;
  private admitted = false;
  private completed = false;
  private sequence = 0;
  private parts = new Map<number, Buffer[]>();
  private readonly done = new Set<number>();
  /** The newest of each unfinished picture. */
  private readonly tokens = new Map<number, Buffer>();
  /** Accepted's, of the whole request. */
  private whole: GenerateRequest | undefined;
  /** The picture that this attempt asks for, where it is not the whole request. */
  private alone: number | undefined;
  private evaluations = 0;
  private cost: Cost | undefined;

  /** `request` is what the attempt asks for. */
  constructor(public request: GenerateRequest) {
    if (request.resumeToken.length > 0) this.tokens.set(0, request.resumeToken);
  }

  /** A new attempt begins: parts of pictures are forgotten, whole ones and tokens are not. */
  restart(): void {
    if (this.whole !== undefined) {
      this.request = { ...this.request, seed: this.whole.seed };
      if (this.tokens.size > 0 || this.alone !== undefined) this.askAlone(this.whole);
    }
    this.started = false;
    this.admitted = false;
    this.completed = false;
    this.sequence = 0;
    this.parts = new Map();
  }

  /** The server refuses the token; false where none was sent that an earlier attempt had brought. */
  dropToken(): boolean {
    return this.alone !== undefined && this.tokens.delete(this.alone);
  }

  /** The event that a message makes, if it makes one. A kind that is not known is of a newer contract. */
  add(response: GenerateResponse): StepcastEvent | undefined {
    this.started = true;
    if (response.sequence !== this.sequence) {
      throw brokenStream(`message ${response.sequence} came where ${this.sequence} was due`);
    }
    this.sequence += 1;
    const { accepted, imageChunk, completed } = response;
    if (imageChunk) return this.chunk(imageChunk);
    if (accepted) return this.accept(accepted);
    if (completed) return this.complete(completed);
    return this.onTheWay(response);
  }

  /** The stream ended well: everything must have come. False: there are pictures that another attempt asks for. */
  finish(): boolean {
    if (!this.admitted || !(this.completed || this.request.validateOnly)) {
      throw brokenStream('the stream ended before all was told');
    }
    return this.request.validateOnly || this.missing().length === 0;
  }

  private missing(): number[] {
    return [...Array(this.whole?.imageCount ?? 0).keys()].filter((index) => !this.done.has(index));
  }

  private askAlone({ seed }: GenerateRequest): void {
    // None is missing where only the end of the call was lost.
    this.alone = this.missing()[0] ?? this.alone ?? 0;
    const resumeToken = this.tokens.get(this.alone) ?? Buffer.alloc(0);
    this.request = { ...this.request, seed: (seed ?? 0) + this.alone, imageCount: 1, resumeToken };
  }

  /** What is told of an unfinished picture. */
  private onTheWay({ progress, preview, parked, checkpoint }: GenerateResponse): StepcastEvent | undefined {
    const told = progress ?? preview ?? parked ?? checkpoint;
    if (told === undefined) return undefined;
    const imageIndex = this.alone ?? told.imageIndex;
    if (this.done.has(imageIndex)) return undefined;
    // A parked picture without a token leaves the last checkpoint the newest.
    const token = (parked ?? checkpoint)?.resumeToken;
    if (token?.length) this.tokens.set(imageIndex, token);
    if (progress) return { type: 'progress', ...progress, imageIndex, eta: seconds(progress.eta) };
    if (preview) return { type: 'preview', ...preview, imageIndex };
    if (parked) return { type: 'parked', ...parked, imageIndex };
    if (checkpoint) return { type: 'checkpoint', ...checkpoint, imageIndex };
    return undefined;
  }

  private accept(accepted: Accepted): AcceptedEvent | undefined {
    if (accepted.request === undefined) throw brokenStream('Accepted came without its request');
    this.admitted = true;
    if (this.alone !== undefined) return undefined;
    this.whole = accepted.request;
    return {
      type: 'accepted',
      request: accepted.request,
      evaluations: accepted.evaluations,
      queuePosition: accepted.queuePosition,
      warnings: accepted.warnings,
      estimatedWait: seconds(accepted.estimatedWait),
      estimatedTotal: seconds(accepted.estimatedTotal),
      prompts: accepted.prompts,
      jobIds: accepted.jobIds,
    };
  }

  private chunk(chunk: ImageChunk): ImageEvent | undefined {
    const { offset, totalBytes, mime, width, height, seed, sha256 } = chunk;
    const imageIndex = this.alone ?? chunk.imageIndex;
    const parts = this.parts.get(imageIndex) ?? [];
    const there = parts.reduce((sum, part) => sum + part.length, 0);
    const end = offset + chunk.data.length;
    if (offset !== there || end > totalBytes) {
      throw brokenStream(`picture ${imageIndex}: bytes ${offset}..${end} of ${totalBytes} came where ${there} were there`);
    }
    parts.push(chunk.data);
    this.parts.set(imageIndex, parts);
    if (end < totalBytes) return undefined;
    const data = Buffer.concat(parts);
    this.parts.delete(imageIndex);
    checkPicture(imageIndex, data, sha256);
    if (this.done.has(imageIndex)) return undefined;
    this.done.add(imageIndex);
    this.tokens.delete(imageIndex);
    return { type: 'image', imageIndex, data, mime, width, height, seed, sha256 };
  }

  private complete(completed: Completed): CompletedEvent | undefined {
    const missing = this.missing();
    if (missing.length > 0 && (this.alone === undefined || !this.done.has(this.alone))) {
      throw brokenStream(`${this.done.size} pictures came, and not ${missing.join(', ')}`);
    }
    this.completed = true;
    this.evaluations += completed.evaluations;
    this.cost = sum(this.cost, completed.cost);
    return missing.length > 0 ? undefined : completedEvent(completed, this.evaluations, this.cost);
  }
}

/** Sums the events of a call up. */
export class Collector {
  private accepted: AcceptedEvent | undefined;
  private readonly images: ImageEvent[] = [];
  private completed: CompletedEvent | undefined;

  add(event: StepcastEvent): void {
    if (event.type === 'accepted') this.accepted = event;
    if (event.type === 'image') this.images.push(event);
    if (event.type === 'completed') this.completed = event;
  }

  result(): Result {
    if (this.accepted === undefined) throw brokenStream('the stream told nothing');
    const { request, warnings, estimatedWait, estimatedTotal, prompts } = this.accepted;
    const images = this.images.sort((a, b) => a.imageIndex - b.imageIndex);
    return { images, request, warnings, completed: this.completed, estimatedWait, estimatedTotal, prompts };
  }
}

/** What GenerateImage answered, checked. */
export function unaryResult(response: GenerateImageResponse): Result {
  if (response.request === undefined) throw brokenStream('the answer came without its request');
  const images = response.images.map((image, imageIndex): ImageEvent => {
    checkPicture(imageIndex, image.data, image.sha256);
    return { type: 'image', imageIndex, ...image };
  });
  return {
    images,
    request: response.request,
    warnings: response.warnings,
    completed: response.timings === undefined ? undefined : completedEvent(response, response.evaluations, response.cost),
    estimatedWait: seconds(response.estimatedWait),
    estimatedTotal: seconds(response.estimatedTotal),
    prompts: response.prompts,
  };
}
