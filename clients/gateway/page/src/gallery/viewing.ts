// The picture that is looked at.
import { computed, signal } from '@preact/signals';

import { pictures } from './gallery';

export const viewedId = signal('');
export const viewed = computed(() => pictures.value.find(({ id }) => id === viewedId.value));

/** The one before (-1) or after (1) in the gallery. */
export function viewNext(by: -1 | 1): void {
  const at = pictures.value.findIndex(({ id }) => id === viewedId.value);
  const next = pictures.value[at + by];
  if (at >= 0 && next !== undefined) viewedId.value = next.id;
}
