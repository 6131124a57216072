// What is being copied as code: the form, or a picture of the gallery.
import { signal } from '@preact/signals';

import type { Shown } from '../gallery/gallery';

export type Copied = { from: 'form' } | { from: 'picture'; picture: Shown };

export const copying = signal<Copied | undefined>(undefined);
