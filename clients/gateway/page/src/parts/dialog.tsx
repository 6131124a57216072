// A dialog of the platform: it keeps the focus inside, Escape closes it, and the focus goes back where it was.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Icon } from './icon';

export interface DialogParts {
  title: string;
  narrow?: boolean;
  /** Beside the title. */
  aside?: ComponentChildren;
  onClose: () => void;
  onKeyDown?: (event: KeyboardEvent) => void;
  children: ComponentChildren;
}

export function Dialog({ title, narrow, aside, onClose, onKeyDown, children }: DialogParts) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog class={`dialog${narrow ? ' narrow' : ''}`} ref={dialog} aria-label={title} onKeyDown={onKeyDown} onCancel={(event) => {
      event.preventDefault();
      onClose();
    }} onClick={(event) => {
      if (event.target === dialog.current) onClose();  // beside it
    }}>
      <div class="dialog-top">
        <h2>{title}</h2>
        {aside}
        <button type="button" class="button quiet icon compact" aria-label="Close" onClick={onClose}><Icon name="close" /></button>
      </div>
      {children}
    </dialog>
  );
}
