// Events of the client as messages of the contract, in proto JSON.
import { type AcceptedEvent, type CompletedEvent, GenerateRequest, type ProgressEvent, type StepcastEvent } from '@stepcast/client';

import type { Contract } from '../contract.js';

function duration(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : `${seconds.toFixed(9).replace(/\.?0+$/, '')}s`;
}

function accepted(event: AcceptedEvent, contract: Contract) {
  const { evaluations, queuePosition, warnings, prompts, jobIds } = event;
  return {
    request: contract.toJson('GenerateRequest', GenerateRequest.encode(event.request).finish()),
    evaluations, queuePosition, warnings, prompts, jobIds: jobIds.map(String),
    estimatedWait: duration(event.estimatedWait), estimatedTotal: duration(event.estimatedTotal),
  };
}

function progress({ type: _, eta, ...rest }: ProgressEvent) {
  return { ...rest, eta: duration(eta) };
}

function completed(event: CompletedEvent) {
  const { queued, encode, denoise, decode, total } = event.timings;
  return {
    timings: {
      queued: duration(queued), encode: duration(encode), denoise: duration(denoise), decode: duration(decode), total: duration(total),
    },
    evaluations: String(event.evaluations),
    batch: { denoiseTicks: String(event.denoiseTicks), meanRows: event.meanRows },
    modelSha256: event.modelSha256,
    cost: event.cost && { rowEvaluations: String(event.cost.rowEvaluations), deviceSeconds: event.cost.deviceSeconds },
  };
}

/** An event's data: the message of the contract that it is named after, and of a whole picture its file. */
export function eventJson(event: StepcastEvent, contract: Contract): unknown {
  switch (event.type) {
    case 'accepted':
      return accepted(event, contract);
    case 'progress':
      return progress(event);
    case 'preview': {
      const { type: _, data, ...rest } = event;
      return { ...rest, data: data.toString('base64') };
    }
    case 'image': {
      const { type: _, data, seed, ...rest } = event;
      return { ...rest, seed: String(seed), data: data.toString('base64') };
    }
    case 'completed':
      return completed(event);
    default:
      return undefined;
  }
}
