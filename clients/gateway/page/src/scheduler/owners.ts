// Which jobs of the scheduler are pictures of this page. Ticks name jobs by number alone, and answers name no jobs, so
// they are brought together by what both know: the model and the number of evaluations, in order of arrival. Two people
// who ask for the very same thing at the same moment may see each other's colour.
export interface Expected {
  painting: string;
  index: number;
  hue: number;
  model: string;
  evaluations: number;
}

export interface SeenJob {
  job: number;
  model: string;
  evaluations: number;
}

export type Owners = ReadonlyMap<number, Expected>;

const keyOf = ({ painting, index }: Expected): string => `${painting}:${index}`;

/** Adds owners for `jobs` that have none, first come first served. Jobs without any stay somebody else's. */
export function withOwners(owners: Owners, jobs: SeenJob[], expected: Expected[]): Owners {
  const taken = new Set([...owners.values()].map(keyOf));
  const open = expected.filter((each) => !taken.has(keyOf(each)));
  const fresh = jobs.filter(({ job }) => !owners.has(job)).sort((a, b) => a.job - b.job);
  if (open.length === 0 || fresh.length === 0) return owners;
  const next = new Map(owners);
  for (const job of fresh) {
    const at = open.findIndex(({ model, evaluations }) => model === job.model && evaluations === job.evaluations);
    if (at < 0) continue;
    const [owner] = open.splice(at, 1);
    if (owner !== undefined) next.set(job.job, owner);
  }
  return next;
}
