// When and where a failed call is tried again.
import type { StepcastError } from './errors.js';

// Refusals: nothing was begun, and another try may do.
const REFUSALS = new Set([
  'QUEUE_FULL', 'TENANT_LIMIT', 'DEADLINE_UNREACHABLE', 'DRAINING', 'DEVICE_LOST', 'MODEL_LOADING', 'MODEL_FAILED',
]);
// What may also end a call that has begun; with the seed of Accepted the same pictures come from elsewhere.
const RESUMABLE = new Set(['DRAINING', 'DEVICE_LOST']);
// How often a call is taken up again whose server went without a word. Bounded: the call itself may be what killed it.
const MAX_LOST = 2;

/**
 * How often and how patiently. A round asks each address once; `rounds: 1` is fail over without waiting. Between rounds a
 * call waits as long as the server says, else exponentially longer from `initialBackoffMs`. A server that says more than
 * `maxWaitMs` is not waited for: its error is thrown.
 */
export interface RetryPolicy {
  rounds: number;
  initialBackoffMs: number;
  maxBackoffMs: number;
  maxWaitMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { rounds: 4, initialBackoffMs: 500, maxBackoffMs: 5000, maxWaitMs: 30_000 };

/**
 * Whether the server, or a proxy on the way to it, was cut off; its own errors have a reason. A bare CANCELLED that nobody
 * here asked for is what gRPC's C++ library says to a call that arrives while it shuts down.
 */
function connectionLost({ code, reason, message }: StepcastError): boolean {
  if (reason !== '') return false;
  return code === 'UNAVAILABLE' || (code === 'CANCELLED' && message === 'CANCELLED') || message.includes('RST_STREAM');
}

function mayRetry(error: StepcastError, started: boolean): boolean {
  if (error.retryForbidden) return false;
  if (started) return RESUMABLE.has(error.reason) || connectionLost(error);
  return REFUSALS.has(error.reason) || connectionLost(error);
}

/** Whether the same request without its resume token may do: it is not good here, or no tokens are known here. */
export function tokenRefused({ reason, fieldViolations }: StepcastError): boolean {
  const alone = fieldViolations.length === 1 && fieldViolations[0]!.field === 'resume_token';
  return reason === 'RESUME_TOKEN_INVALID' || alone;
}

/** The tries of one call: `index` is the address to ask now. */
export class Retries {
  private failures = 0;
  private lost = 0;
  private shortest: number | undefined;
  private telling: StepcastError | undefined;

  constructor(
    private readonly policy: RetryPolicy,
    private readonly addresses: number,
    public index: number,
    private readonly deadline: number | undefined,
  ) {}

  /** Moves on to the next address and returns the milliseconds to wait first; throws where there is no next try. */
  after(error: StepcastError, started: boolean): number {
    // Where nobody listens nothing was lost.
    if (connectionLost(error) && (started || error.code !== 'UNAVAILABLE')) this.lost += 1;
    if (!mayRetry(error, started) || this.lost > MAX_LOST) throw error;
    // An error with a reason tells more than a dead address beside it.
    if (error.reason !== '' || this.telling === undefined) this.telling = error;
    if (error.retryDelayMs !== undefined) this.shortest = Math.min(this.shortest ?? Infinity, error.retryDelayMs);
    this.failures += 1;
    this.index = (this.index + 1) % this.addresses;
    return this.failures % this.addresses === 0 ? this.wait(this.telling) : 0;
  }

  private wait(telling: StepcastError): number {
    const rounds = this.failures / this.addresses;
    if (rounds >= this.policy.rounds) throw telling;
    const backoff = Math.min(this.policy.initialBackoffMs * 2 ** (rounds - 1), this.policy.maxBackoffMs);
    const wait = this.shortest ?? backoff * (0.8 + 0.4 * Math.random());
    const late = this.deadline !== undefined && Date.now() + wait >= this.deadline;
    if (wait > this.policy.maxWaitMs || late) throw telling;
    this.shortest = undefined;
    this.telling = undefined;
    return wait;
  }
}
