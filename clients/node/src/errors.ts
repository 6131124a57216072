// What a call can fail with. Branch on `reason` (docs/errors.md) or `code`, never on the message.
import { type ServiceError, status } from '@grpc/grpc-js';

import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.js';
import { Status } from './gen/google/rpc/status.js';

export interface FieldViolation {
  field: string;
  description: string;
}

/** A call failed, or what came is not what the contract promises (`reason` "BROKEN_STREAM"). */
export class StepcastError extends Error {
  override name = 'StepcastError';
  /** Name of the gRPC status: "RESOURCE_EXHAUSTED". */
  code: string;
  /** ErrorReason without its prefix: "QUEUE_FULL". "" where the gRPC library itself made the error. */
  reason = '';
  /** Who answered, or did not. */
  address = '';
  metadata: Record<string, string> = {};
  /** Every wrong field of an INVALID_ARGUMENT. */
  fieldViolations: FieldViolation[] = [];
  /** When another try may do, in milliseconds; undefined where the server names no time. */
  retryDelayMs: number | undefined;
  /** The server says that no other try may be made. */
  retryForbidden = false;
  requestId = '';

  constructor(message: string, code = 'UNKNOWN', reason = '') {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export function brokenStream(message: string): StepcastError {
  return new StepcastError(message, 'DATA_LOSS', 'BROKEN_STREAM');
}

/** Whether the gRPC library made this error. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'metadata' in error && typeof error.code === 'number';
}

export function fromServiceError(error: ServiceError, address: string): StepcastError {
  const made = new StepcastError(error.details || error.message, status[error.code] ?? 'UNKNOWN');
  made.address = address;
  const serialized = error.metadata.get('grpc-status-details-bin')[0];
  if (serialized instanceof Buffer) readDetails(made, serialized);
  made.requestId = String(error.metadata.get('x-request-id')[0] ?? '');
  // The trailer is what gRPC's own retries obey, so it wins over RetryInfo. What is no time forbids a retry.
  const pushback = error.metadata.get('grpc-retry-pushback-ms')[0];
  if (pushback !== undefined) {
    if (/^[0-9]+$/.test(String(pushback))) made.retryDelayMs = Number(pushback);
    else made.retryForbidden = true;
  }
  return made;
}

function readDetails(error: StepcastError, serialized: Buffer): void {
  for (const { typeUrl, value } of Status.decode(serialized).details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
      case 'google.rpc.ErrorInfo': {
        const info = ErrorInfo.decode(value);
        if (info.domain !== 'stepcast.dev') break;
        error.reason = info.reason;
        error.metadata = info.metadata;
        break;
      }
      case 'google.rpc.BadRequest':
        error.fieldViolations = BadRequest.decode(value).fieldViolations;
        break;
      case 'google.rpc.RetryInfo': {
        const delay = RetryInfo.decode(value).retryDelay;
        if (delay !== undefined) error.retryDelayMs = delay.seconds * 1000 + delay.nanos / 1e6;
        break;
      }
    }
  }
}
