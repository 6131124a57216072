// The pictures of this browser, newest first.
import { computed, signal } from '@preact/signals';

import { bounded, newestFirst } from './bounds';
import { readAll, remove, write } from './database';
import type { Entry } from './entry';
import type { BatchShare } from './share';

export interface Shown extends Entry {
  /** Of the picture, as long as it is shown. */
  url: string;
  /** The colour of its request, where this page has asked for it: the timeline shows the same. */
  hue: number | undefined;
}

export const pictures = signal<Shown[]>([]);
/** Why pictures will be gone with the page; "" where they are kept. */
export const keptNowhere = signal('');
export const pictureIds = computed(() => new Set(pictures.value.map(({ id }) => id)));

const shown = (entry: Entry, hue?: number): Shown => ({ ...entry, url: URL.createObjectURL(entry.picture), hue });

/** URL and colour are of this page alone. */
function entryOf(picture: Shown): Entry {
  const entry: Partial<Shown> = { ...picture };
  delete entry.url;
  delete entry.hue;
  return entry as Entry;
}

async function keep(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch {
    keptNowhere.value = 'This browser keeps nothing for the page (a private window, or no space): download what you want to keep.';
  }
}

function settle(entries: Shown[]): void {
  const { kept, gone } = bounded(entries.sort(newestFirst));
  const keptIds = new Set(kept.map(({ id }) => id));
  pictures.value = entries.filter(({ id }) => keptIds.has(id));
  const leaving = entries.filter(({ id }) => !keptIds.has(id));
  leaving.forEach(({ url }) => URL.revokeObjectURL(url));
  if (gone.length > 0) void keep(() => remove(gone.map(({ id }) => id)));
}

export async function openGallery(): Promise<void> {
  await keep(async () => {
    const entries = await readAll();
    settle([...pictures.value, ...entries.filter(({ id }) => !pictureIds.value.has(id)).map((entry) => shown(entry))]);
  });
}

/** A picture that is there already, because its request was sent twice, stays. */
export function addPicture(entry: Entry, hue: number): void {
  if (pictureIds.value.has(entry.id)) return;
  settle([...pictures.value, shown(entry, hue)]);
  void keep(() => write(entry));
}

/** What is known once the whole request is done. */
export function addShare(painting: string, share: BatchShare): void {
  pictures.value = pictures.value.map((entry) => (entry.painting === painting ? { ...entry, share } : entry));
  for (const entry of pictures.value.filter((each) => each.painting === painting)) void keep(() => write(entryOf(entry)));
}

export function forget(ids: string[]): void {
  for (const { id, url } of pictures.value) if (ids.includes(id)) URL.revokeObjectURL(url);
  pictures.value = pictures.value.filter(({ id }) => !ids.includes(id));
  void keep(() => remove(ids));
}
