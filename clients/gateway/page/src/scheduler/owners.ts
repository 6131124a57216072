// Which jobs of the scheduler are pictures of this page: Accepted names them by the numbers that ticks have.
import { whole } from '../api/units';
import type { Painting } from '../paintings/painting';

export interface Owner {
  painting: string;
  index: number;
  hue: number;
}

export type Owners = ReadonlyMap<number, Owner>;

/** More than the timeline shows. */
const MOST = 2000;

/** Of a request that is sent again the numbers are those of a server that is no longer there. */
const isNumbered = ({ status }: Painting): boolean => status === 'queued' || status === 'painting';

/** Adds the jobs of `paintings`; those of paintings that are done stay. */
export function withOwners(owners: Owners, paintings: readonly Painting[]): Owners {
  let next: Map<number, Owner> | undefined;
  for (const painting of paintings.filter(isNumbered)) {
    (painting.accepted?.jobIds ?? []).map(whole).forEach((job, index) => {
      if (owners.get(job)?.painting === painting.id) return;
      next ??= new Map(owners);
      next.delete(job);  // of an older server; the newest stand last
      next.set(job, { painting: painting.id, index, hue: painting.hue });
    });
  }
  if (next === undefined) return owners;
  for (const job of next.keys()) {
    if (next.size <= MOST) break;
    next.delete(job);
  }
  return next;
}
