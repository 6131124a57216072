// How much the gallery keeps: the newest pictures that fit.
import type { Entry } from './entry';

export const MOST_PICTURES = 240;
export const MOST_BYTES = 200 * 2 ** 20;

const sizeOf = ({ picture, inputs }: Entry): number =>
  picture.size + (inputs.start?.size ?? 0) + (inputs.sketchFile?.size ?? 0);

/** Newest first: those to keep, and those that there is no room for. */
export function bounded(entries: Entry[], mostPictures = MOST_PICTURES, mostBytes = MOST_BYTES): { kept: Entry[]; gone: Entry[] } {
  let bytes = 0;
  const fits = entries.map((entry, index) => {
    bytes += sizeOf(entry);
    // The newest stays, however large it is: somebody has just painted it.
    return index === 0 || (index < mostPictures && bytes <= mostBytes);
  });
  return { kept: entries.filter((_, index) => fits[index]), gone: entries.filter((_, index) => !fits[index]) };
}

/** Where a picture stands, finished or not: newest request first, its pictures from the first to the last. */
export interface Place {
  startedAt: number;
  painting: string;
  index: number;
}

export function newestFirst(a: Place, b: Place): number {
  if (a.startedAt !== b.startedAt) return b.startedAt - a.startedAt;
  if (a.painting !== b.painting) return a.painting < b.painting ? 1 : -1;
  return a.index - b.index;
}
