// Pictures that are dropped on the page or pasted into it begin the next request.
import { signal } from '@preact/signals';

import { changeInputs } from './inputs';
import { EMPTY } from './strokes';
import { announce } from '../parts/announcer';
import { clearErrors, model } from '../settings/form';

/** Whether a file hovers over the page. */
export const hovering = signal(false);

export function beginWith(picture: Blob): void {
  if (model.value?.encodesPictures !== true) {
    announce('This model cannot begin with a picture.');
    return;
  }
  changeInputs({ start: picture, mask: EMPTY });
  clearErrors(['start']);
  announce('The next picture begins with this one.');
}

export const pictureIn = (files: FileList | undefined | null): File | undefined =>
  [...(files ?? [])].find(({ type }) => type.startsWith('image/'));

export function watchArrivals(): void {
  document.addEventListener('paste', (event) => {
    const picture = pictureIn(event.clipboardData?.files);
    if (picture === undefined) return;
    event.preventDefault();
    beginWith(picture);
  });
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    hovering.value = true;
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) hovering.value = false;
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    hovering.value = false;
    const picture = pictureIn(event.dataTransfer?.files);
    if (picture !== undefined) beginWith(picture);
  });
}
