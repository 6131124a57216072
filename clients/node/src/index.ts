/** Client of Stepcast, the image-generation server that batches by the step. */
export { type CallOptions, Client, type ClientOptions, type GenerateOptions, type PaintOptions } from './client.js';
export { type FieldViolation, StepcastError } from './errors.js';
export type {
  AcceptedEvent, CheckpointEvent, CompletedEvent, ImageEvent, ParkedEvent, PictureFile, PreviewEvent, ProgressEvent, Result,
  StepcastEvent, Timings,
} from './events.js';
export { DEFAULT_RETRY, type RetryPolicy } from './retry.js';
export { GenerateRequest, GetServerInfoResponse } from './gen/stepcast/v1/image_generation.js';
export { BlendDomain, InpaintFill, ResizeMode } from './gen/stepcast/v1/input_picture.js';
export { Model } from './gen/stepcast/v1/model.js';
export { ImageFormat } from './gen/stepcast/v1/output.js';
export { Priority } from './gen/stepcast/v1/priority.js';
export { PromptSyntax } from './gen/stepcast/v1/prompt.js';
export { Sampler, SigmaSchedule, TimestepSpacing } from './gen/stepcast/v1/sampling.js';
