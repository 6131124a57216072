// What went wrong, kindly, and what to do about it.
import type { Refusal } from '../api/wire';
import { spoken } from '../api/units';

const WORDS: Record<string, string> = {
  FIELD_INVALID: 'Some settings do not fit. They are marked in the form.',
  QUEUE_FULL: 'The server has as much to paint as it takes at once. Try again in a moment.',
  TENANT_LIMIT: 'You have as much to paint as one may at once. Try again when something is done.',
  DEADLINE_UNREACHABLE: 'The server cannot finish this in the time that it has.',
  DEVICE_MEMORY: 'There is not enough memory for this picture now. A smaller one may fit.',
  DRAINING: 'The server is about to restart.',
  MODEL_LOADING: 'The model is being loaded.',
  MODEL_NOT_FOUND: 'The server no longer has this model.',
  IMAGE_TOO_LARGE: 'The picture is larger than the server takes.',
  IMAGE_UNDECODABLE: 'The server cannot read the picture. PNG, JPEG and WebP work.',
  WORK_LIMIT: 'This is more work than one request may be. Fewer steps, fewer pictures or a smaller size fit.',
  NUMERIC_FAULT: 'These settings led nowhere: the numbers overflowed. Another seed or sampler may do.',
  DEVICE_LOST: 'The device that painted this failed.',
};

/** Whether the server is away, or about to be, so that the same request will do later. */
export function isOutage({ status, reason }: Refusal): boolean {
  if (reason === 'DRAINING' || reason === 'MODEL_LOADING' || reason === 'DEVICE_LOST') return true;
  return status === 'UNAVAILABLE' && reason !== 'MODEL_FAILED';
}

export function kindly(refusal: Refusal): string {
  const words = WORDS[refusal.reason ?? ''];
  const after = refusal.retryAfterMs;
  const hint = after !== undefined && after > 0 ? ` It expects to have room in ${spoken(after)}.` : '';
  return (words ?? refusal.message ?? 'The server refused without saying why.') + hint;
}
