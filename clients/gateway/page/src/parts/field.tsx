// A control with its label, its hint and what is wrong with it.
import type { ComponentChildren } from 'preact';

import { errors } from '../settings/form';

export interface FieldParts {
  /** Of the control: also its key in the form's errors. */
  id: string;
  label: string;
  hint?: string;
  /** Beside the label. */
  aside?: ComponentChildren;
  children: ComponentChildren;
}

/** What a control needs so that its hint and its error are read with it. */
export function described(id: string, hint?: string): { id: string; 'aria-describedby'?: string; 'aria-invalid'?: 'true' } {
  const error = errors.value[id];
  const ids = [error === undefined ? '' : `${id}-error`, hint === undefined ? '' : `${id}-hint`].filter((each) => each !== '');
  return {
    id,
    ...(ids.length > 0 ? { 'aria-describedby': ids.join(' ') } : {}),
    ...(error === undefined ? {} : { 'aria-invalid': 'true' }),
  };
}

export function FieldError({ id }: { id: string }) {
  const error = errors.value[id];
  return error === undefined ? null : <p class="error" id={`${id}-error`}>{error}</p>;
}

export function Field({ id, label, hint, aside, children }: FieldParts) {
  return (
    <div class="field">
      <div class="top">
        <label class="label" for={id}>{label}</label>
        {aside}
      </div>
      {children}
      <FieldError id={id} />
      {hint !== undefined && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}
