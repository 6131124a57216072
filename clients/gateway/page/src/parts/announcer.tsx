// What happens, for those who do not see it: one polite live region for the whole page.
import { signal } from '@preact/signals';

const said = signal('');

export function announce(text: string): void {
  said.value = text;
}

export function Announcer() {
  return (
    <p class="visually-hidden" role="status" aria-live="polite">{said}</p>
  );
}
