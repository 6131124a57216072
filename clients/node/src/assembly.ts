// Messages of a stream to events. No I/O.
import { createHash } from 'node:crypto';

import { brokenStream } from './errors.js';
import type { AcceptedEvent, CompletedEvent, ImageEvent, Result, StepcastEvent } from './events.js';
import type { Duration } from './gen/google/protobuf/duration.js';
import type {
  Accepted, Completed, GenerateImageResponse, GenerateResponse, ImageChunk,
} from './gen/stepcast/v1/image_generation.js';

function seconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : duration.seconds + duration.nanos / 1e9;
}

function checkPicture(index: number, data: Buffer, sha256: string): void {
  const came = createHash('sha256').update(data).digest('hex');
  if (came !== sha256) throw brokenStream(`picture ${index}: its bytes have sha256 ${came}, the server says ${sha256}`);
}

function completedEvent({ timings, evaluations, batch, modelSha256 }: Completed | GenerateImageResponse): CompletedEvent {
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
  };
}

/** Reads one call, over as many attempts as it takes; pictures that are whole are told once. */
export class Assembly {
  /** Whether the server has begun to answer this attempt. */
  started = false;
  private accepted: Accepted | undefined;
  private completed = false;
  private sequence = 0;
  private parts = new Map<number, Buffer[]>();
  private readonly done = new Set<number>();

  constructor(private readonly validateOnly: boolean) {}

  /** The seed that the server chose or took. */
  get seed(): number | undefined {
    return this.accepted?.request?.seed;
  }

  /** A new attempt begins: parts of pictures are forgotten, whole ones are not. */
  restart(): void {
    this.started = false;
    this.accepted = undefined;
    this.completed = false;
    this.sequence = 0;
    this.parts = new Map();
  }

  /** The event that a message makes, if it makes one. A kind that is not known is of a newer contract. */
  add(response: GenerateResponse): StepcastEvent | undefined {
    this.started = true;
    if (response.sequence !== this.sequence) {
      throw brokenStream(`message ${response.sequence} came where ${this.sequence} was due`);
    }
    this.sequence += 1;
    const { accepted, progress, preview, imageChunk, completed } = response;
    if (imageChunk) return this.chunk(imageChunk);
    if (accepted) return this.accept(accepted);
    if (completed) return this.complete(completed);
    if (progress && !this.done.has(progress.imageIndex)) {
      return { type: 'progress', ...progress, eta: seconds(progress.eta) };
    }
    if (preview && !this.done.has(preview.imageIndex)) return { type: 'preview', ...preview };
    return undefined;
  }

  /** The stream ended well: everything must have come. */
  finish(): void {
    if (this.accepted === undefined || !(this.completed || this.validateOnly)) {
      throw brokenStream('the stream ended before all was told');
    }
  }

  private accept(accepted: Accepted): AcceptedEvent {
    this.accepted = accepted;
    if (accepted.request === undefined) throw brokenStream('Accepted came without its request');
    return {
      type: 'accepted',
      request: accepted.request,
      evaluations: accepted.evaluations,
      queuePosition: accepted.queuePosition,
      warnings: accepted.warnings,
      estimatedWait: seconds(accepted.estimatedWait),
      estimatedTotal: seconds(accepted.estimatedTotal),
    };
  }

  private chunk(chunk: ImageChunk): ImageEvent | undefined {
    const { imageIndex, offset, totalBytes, mime, width, height, seed, sha256 } = chunk;
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
    return { type: 'image', imageIndex, data, mime, width, height, seed, sha256 };
  }

  private complete(completed: Completed): CompletedEvent {
    const wanted = this.accepted?.request?.imageCount;
    if (this.done.size !== wanted) throw brokenStream(`${this.done.size} of ${wanted} pictures came`);
    this.completed = true;
    return completedEvent(completed);
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
    const { request, warnings, estimatedWait, estimatedTotal } = this.accepted;
    const images = this.images.sort((a, b) => a.imageIndex - b.imageIndex);
    return { images, request, warnings, completed: this.completed, estimatedWait, estimatedTotal };
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
    completed: response.timings === undefined ? undefined : completedEvent(response),
    estimatedWait: seconds(response.estimatedWait),
    estimatedTotal: seconds(response.estimatedTotal),
  };
}
