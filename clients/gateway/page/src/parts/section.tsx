// A part of the form that opens.
import type { ComponentChildren } from 'preact';

import { Icon } from './icon';

export interface SectionParts {
  title: string;
  /** What it holds, while it is shut. */
  note?: string;
  open?: boolean;
  children: ComponentChildren;
}

export function Section({ title, note, open, children }: SectionParts) {
  return (
    <details class="section" open={open}>
      <summary>
        <span>{title}</span>
        {note !== undefined && note !== '' && <span class="note">{note}</span>}
        <span class="chevron"><Icon name="chevron" size={16} /></span>
      </summary>
      <div class="body">{children}</div>
    </details>
  );
}
