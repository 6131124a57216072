// The colours of the timeline, as the theme says at the moment. Custom properties hold light-dark(...), which only a
// real element resolves.
import type { Palette } from './draw';
import { HUES } from '../paintings/paintings';

export function paletteOf(element: HTMLElement): Palette {
  const probe = document.createElement('i');
  element.append(probe);
  const read = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const palette = {
    hues: Array.from({ length: HUES }, (_, index) => read(`--hue-${index}`)),
    others: [0, 1, 2].map((index) => read(`--other-${index}`)),
    line: read('--line-strong'),
    ink: read('--ink-soft'),
    faint: read('--line'),
    accent: read('--accent'),
    surface: read('--sunken'),
  };
  probe.remove();
  return palette;
}
