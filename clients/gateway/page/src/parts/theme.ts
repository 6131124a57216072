// Light, dark, or as the system says.
import { effect, signal } from '@preact/signals';

import { keep, kept } from './storage';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'stepcast.theme';
const ORDER: Theme[] = ['system', 'light', 'dark'];

const isTheme = (value: string | null): value is Theme => ORDER.includes(value as Theme);

const before = kept(KEY);
export const theme = signal<Theme>(isTheme(before) ? before : 'system');

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? 'system';
}

effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
  keep(KEY, theme.value);
});
