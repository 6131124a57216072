// What a call tells: the events of a stream, in the order in which they come, and the sum of them.
import type { GenerateRequest } from './gen/stepcast/v1/image_generation.js';

/** The request was admitted. Always first; comes again when the call was taken up anew after a lost device. */
export interface AcceptedEvent {
  type: 'accepted';
  /** With every default filled in, seed included: sent again it asks for the same pictures. */
  request: GenerateRequest;
  /** Denoiser evaluations of each picture. */
  evaluations: number;
  queuePosition: number;
  warnings: string[];
  /** Seconds until the first picture starts, as predicted. */
  estimatedWait: number | undefined;
  /** Seconds until the last picture is done, as predicted. */
  estimatedTotal: number | undefined;
}

/** A picture moved on, or still waits. */
export interface ProgressEvent {
  type: 'progress';
  imageIndex: number;
  step: number;
  steps: number;
  evaluationsDone: number;
  evaluationsTotal: number;
  queuePosition: number;
  /** Seconds until it is done; undefined until there is a pace. */
  eta: number | undefined;
}

/** A picture as the bytes of a file. */
export interface PictureFile {
  imageIndex: number;
  data: Buffer;
  mime: string;
  width: number;
  height: number;
}

/** A look at an unfinished picture after `step` steps. */
export interface PreviewEvent extends PictureFile {
  type: 'preview';
  step: number;
}

/** A finished picture, whole and checked. */
export interface ImageEvent extends PictureFile {
  type: 'image';
  seed: number;
  sha256: string;
}

/** Where the time went. Seconds. */
export interface Timings {
  queued: number;
  encode: number;
  denoise: number;
  decode: number;
  total: number;
}

/** All pictures are done. Always last. */
export interface CompletedEvent {
  type: 'completed';
  timings: Timings;
  evaluations: number;
  denoiseTicks: number;
  meanRows: number;
  modelSha256: string;
}

export type StepcastEvent = AcceptedEvent | ProgressEvent | PreviewEvent | ImageEvent | CompletedEvent;

/** What a whole call came to. After `validateOnly` without pictures and `completed`. */
export interface Result {
  images: ImageEvent[];
  request: GenerateRequest;
  warnings: string[];
  completed: CompletedEvent | undefined;
  estimatedWait: number | undefined;
  estimatedTotal: number | undefined;
}
