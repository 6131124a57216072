// Calls to the gateway that answer once.
import type { Refusal } from './wire';

/** The gateway answered with an error, or nobody did (status 0). */
export class HttpError extends Error {
  override name = 'HttpError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const PATIENCE_MS = 10_000;

/** The sentence in an error's body, whatever its shape. */
export function sentenceOf(body: string): string {
  try {
    const parsed = JSON.parse(body) as { error?: string | { message?: string }; message?: string };
    const inner = typeof parsed.error === 'object' ? parsed.error.message : (parsed.message ?? parsed.error);
    return inner ?? '';
  } catch {
    return /^\s*</.test(body) ? '' : body.trim().slice(0, 300);
  }
}

export async function getJson<T>(path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store' });
  } catch {
    throw new HttpError(0, 'Nobody answers.');
  }
  if (!response.ok) throw new HttpError(response.status, sentenceOf(await response.text()));
  return (await response.json()) as T;
}

/** A refusal out of an answer that is no stream: the gateway's own, or a proxy's. */
export function refusalOf(status: number, body: string): Refusal {
  try {
    const parsed = JSON.parse(body) as Refusal & { error?: Refusal };
    const refusal = typeof parsed.error === 'object' ? parsed.error : parsed;
    if (refusal.reason !== undefined || refusal.violations !== undefined) return refusal;
  } catch {
    // A proxy's page, or a plain sentence.
  }
  const away = status === 0 || status === 502 || status === 503 || status === 504;
  return { status: away ? 'UNAVAILABLE' : 'UNKNOWN', message: sentenceOf(body) || `The gateway answered ${status}.` };
}
