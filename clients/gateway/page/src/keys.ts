// Keys that work everywhere: Ctrl+Enter paints, Escape cancels what is being painted.
import { cancelAll } from './paintings/paintings';
import { paintNow } from './settings/form';

export function watchKeys(): void {
  document.addEventListener('keydown', (event) => {
    if (document.querySelector('dialog[open]') !== null || event.defaultPrevented) return;
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void paintNow();
    } else if (event.key === 'Escape') {
      cancelAll();
    }
  });
}
