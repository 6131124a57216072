// What can go wrong, before a dialect words it.
import { type FieldViolation, StepcastError } from '@stepcast/client';

const HTTP: Record<string, number> = {
  INVALID_ARGUMENT: 400, FAILED_PRECONDITION: 400, OUT_OF_RANGE: 400, UNAUTHENTICATED: 401, PERMISSION_DENIED: 403,
  NOT_FOUND: 404, ALREADY_EXISTS: 409, ABORTED: 409, RESOURCE_EXHAUSTED: 429, CANCELLED: 499, UNIMPLEMENTED: 501,
  DATA_LOSS: 502, UNAVAILABLE: 503, DEADLINE_EXCEEDED: 504,
};

export interface ProblemDetails {
  violations?: FieldViolation[];
  retryAfterMs?: number | undefined;
  /** The field of the HTTP request at fault. */
  param?: string;
  http?: number;
}

/** A request that failed: `status` is the name of a gRPC status, `reason` one of docs/errors.md or of the gateway. */
export class Problem extends Error {
  readonly http: number;
  readonly violations: FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly param: string | undefined;

  constructor(readonly status: string, readonly reason: string, message: string, details: ProblemDetails = {}) {
    super(message);
    this.http = details.http ?? HTTP[status] ?? 500;
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.param = details.param;
  }
}

export function invalid(param: string, message: string): Problem {
  const violations = [{ field: param, description: message }];
  return new Problem('INVALID_ARGUMENT', 'FIELD_INVALID', `${param}: ${message}`, { violations, param });
}

const GRPC_OF_HTTP: Record<number, [string, string]> = {
  400: ['INVALID_ARGUMENT', 'MALFORMED_REQUEST'], 404: ['NOT_FOUND', 'NO_SUCH_ROUTE'],
  408: ['DEADLINE_EXCEEDED', 'BODY_TIMEOUT'], 413: ['INVALID_ARGUMENT', 'BODY_TOO_LARGE'],
  415: ['INVALID_ARGUMENT', 'CONTENT_TYPE'], 503: ['UNAVAILABLE', 'DRAINING'],
};

/** Any error as a Problem. What the gateway did not foresee says nothing of its inside. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StepcastError) {
    return new Problem(error.code, error.reason, error.message, {
      violations: error.fieldViolations, retryAfterMs: error.retryDelayMs,
      ...(error.fieldViolations[0] === undefined ? {} : { param: error.fieldViolations[0].field }),
    });
  }
  if (error instanceof DOMException && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return new Problem('CANCELLED', 'CLIENT_CANCELLED', 'the call was cancelled');
  }
  const http = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  const known = GRPC_OF_HTTP[http];
  if (known !== undefined) return new Problem(known[0], known[1], (error as Error).message, { http });
  return new Problem('INTERNAL', 'GATEWAY_ERROR', 'the gateway failed; its log tells more');
}

/** As the page's API tells errors. */
export function problemJson(problem: Problem) {
  const { status, reason, message, violations, retryAfterMs } = problem;
  return { status, reason, message, violations, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
