// How a request was painted: how long it took, and in what company.
import type { Completed } from '../api/wire';
import { milliseconds } from '../api/units';

export interface BatchShare {
  totalMs: number | undefined;
  queuedMs: number | undefined;
  meanRows: number;
}

export function shareOf({ timings, batch }: Completed): BatchShare {
  return {
    totalMs: milliseconds(timings?.total),
    queuedMs: milliseconds(timings?.queued),
    meanRows: batch?.meanRows ?? 0,
  };
}
