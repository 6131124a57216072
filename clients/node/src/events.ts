// What a call tells: the events of a stream, in the order in which they come, and the sum of them.
import type { GenerateRequest } from './gen/stepcast/v1/image_generation.js';
import type { PromptLength } from './gen/stepcast/v1/prompt.js';
import type { Cost } from './gen/stepcast/v1/statistics.js';

/** The request was admitted. Always first; comes again when the call was taken up and paints everything anew. */
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
  /** How long each prompt is, of text models. */
  prompts: PromptLength[];
  /** What the scheduler's ticks call the pictures, in order of their index. One that is taken up elsewhere has another there. */
  jobIds: number[];
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

/** A picture that the server hands back unfinished, because it stops. The client goes on elsewhere by itself. */
export interface ParkedEvent {
  type: 'parked';
  imageIndex: number;
  resumeToken: Buffer;
  evaluationsDone: number;
  evaluationsTotal: number;
}

/** A picture as it is after `checkpointEvery` further evaluations: what is gone on with when the server dies. */
export interface CheckpointEvent {
  type: 'checkpoint';
  imageIndex: number;
  resumeToken: Buffer;
  evaluationsDone: number;
}

/** Where the time went. Seconds. */
export interface Timings {
  queued: number;
  encode: number;
  denoise: number;
  decode: number;
  total: number;
}

/**
 * All pictures are done. Always last. Of a call that went on elsewhere `evaluations` and `cost` count what the attempts
 * that ended well did.
 */
export interface CompletedEvent {
  type: 'completed';
  timings: Timings;
  evaluations: number;
  denoiseTicks: number;
  meanRows: number;
  modelSha256: string;
  /** What the pictures themselves took, whatever company they had; undefined where the server does not tell. */
  cost: Cost | undefined;
}

export type StepcastEvent =
  | AcceptedEvent | ProgressEvent | PreviewEvent | ImageEvent | ParkedEvent | CheckpointEvent | CompletedEvent;

/** What a whole call came to. After `validateOnly` without pictures and `completed`. */
export interface Result {
  images: ImageEvent[];
  request: GenerateRequest;
  warnings: string[];
  completed: CompletedEvent | undefined;
  estimatedWait: number | undefined;
  estimatedTotal: number | undefined;
  prompts: PromptLength[];
}
