// What the gateway says, in proto JSON: fields at their default may be left out, whole numbers may come as strings, and
// durations are "1.5s". The proto files say what everything means.

export type Whole = number | string;

export interface SamplerSupport {
  sampler: string;
  sigmaSchedules?: string[];
  takesEta?: boolean;
  drawsNoise?: boolean;
}

export interface ControlNet {
  id: string;
  className?: string;
  controlTypes?: number;
}

export interface Model {
  id: string;
  displayName?: string;
  description?: string;
  license?: string;
  family?: string;
  conditioning?: string;
  classLabels?: { index?: number; label?: string }[];
  hasNullClass?: boolean;
  samplers?: SamplerSupport[];
  defaults?: {
    sampler?: string;
    sigmaSchedule?: string;
    steps?: number;
    guidanceScale?: number;
    width?: number;
    height?: number;
    negativePrompt?: string;
  };
  limits?: {
    sizeMultiple?: number;
    minSide?: number;
    maxSide?: number;
    maxArea?: Whole;
    maxSteps?: number;
    maxPromptTokens?: number;
  };
  decoding?: { preview?: string };
  encodesPictures?: boolean;
  imageInput?: string;
  controlNets?: ControlNet[];
}

export interface ModelList {
  default?: string;
  models?: Model[];
}

export interface ServerInfo {
  version?: string;
  state?: string;
  policy?: string;
  limits?: { maxImageCount?: number; maxPreviewsPerImage?: number; maxPromptBytes?: number; maxInputPictureBytes?: Whole };
  devices?: { name?: string; maxRows?: number; queue?: { waiting?: number; running?: number } }[];
  queue?: { waiting?: number; running?: number; ticks?: Whole };
}

export interface Adapter {
  name: string;
  kind?: string;
  displayName?: string;
  rank?: number;
  triggerWords?: string[];
  /** Ids of the models that it goes with. */
  models?: string[];
}

export interface ControlInput {
  model?: string;
  image?: string;
  scale?: number;
  controlType?: number;
}

/** GenerateRequest, as far as the page sets it. Pictures are base64. */
export interface GenerateRequest {
  model?: string;
  prompt?: string;
  negativePrompt?: string;
  seed?: Whole;
  imageCount?: number;
  width?: number;
  height?: number;
  steps?: number;
  guidanceScale?: number;
  sampler?: string;
  sigmaSchedule?: string;
  classIndex?: number;
  classLabel?: string;
  initImage?: string;
  maskImage?: string;
  strength?: number;
  resizeMode?: string;
  inpaint?: { blur?: number };
  control?: ControlInput[];
  /** Told by the server of pictures whose bytes it leaves out. */
  sentPictures?: unknown[];
  loras?: { name: string; scale?: number }[];
  preview?: { everyNSteps?: number; maxSide?: number };
  output?: { format?: string; embedParameters?: boolean };
}

export interface Accepted {
  request?: GenerateRequest;
  evaluations?: number;
  queuePosition?: number;
  warnings?: string[];
  estimatedTotal?: string;
  jobIds?: Whole[];
}

export interface Progress {
  imageIndex?: number;
  step?: number;
  steps?: number;
  evaluationsDone?: number;
  evaluationsTotal?: number;
  queuePosition?: number;
  eta?: string;
}

export interface Preview {
  imageIndex?: number;
  step?: number;
  mime?: string;
  data?: string;
}

export interface Picture {
  imageIndex?: number;
  mime?: string;
  width?: number;
  height?: number;
  seed?: Whole;
  sha256?: string;
  data?: string;
}

export interface Completed {
  timings?: { queued?: string; denoise?: string; total?: string };
  evaluations?: Whole;
  batch?: { denoiseTicks?: Whole; meanRows?: number };
  cost?: { rowEvaluations?: Whole; deviceSeconds?: number };
}

export interface Refusal {
  status?: string;
  reason?: string;
  message?: string;
  violations?: { field?: string; description?: string }[];
  retryAfterMs?: number;
}

export interface TickJob {
  jobId?: Whole;
  position?: number;
  evaluations?: number;
  failed?: boolean;
  rows?: number;
}

export interface Tick {
  device?: string;
  planId?: Whole;
  key?: { phase?: string; model?: string; latentHeight?: number; latentWidth?: number };
  rows?: number;
  jobs?: TickJob[];
  parkedJobIds?: Whole[];
  predictedCost?: string;
  measuredCost?: string;
  startTime?: string;
}

export interface WatchTicksResponse {
  tick?: Tick;
  dropped?: Whole;
}

export interface Schedule {
  devices?: {
    device?: { name?: string; maxRows?: number; queue?: { waiting?: number; running?: number } };
    costs?: { key?: Tick['key']; rowCap?: number; knee?: number }[];
  }[];
}
