// A number, with a slider for its usual range. Any number may be typed: the server says what it does not take.
import { described, Field } from './field';

export interface NumberParts {
  id: string;
  label: string;
  value: number | undefined;
  /** What an empty field means. */
  fallback: number;
  min: number;
  /** Of the slider. */
  max: number;
  step?: number;
  hint?: string;
  onChange: (value: number | undefined) => void;
}

export function numberIn(text: string): number | undefined {
  const value = Number(text);
  return text.trim() === '' || !Number.isFinite(value) ? undefined : value;
}

export function NumberField({ id, label, value, fallback, min, max, step = 1, hint, onChange }: NumberParts) {
  return (
    <Field id={id} label={label} hint={hint}>
      <div class="with-range">
        <input class="range" type="range" aria-label={`${label}, slider`} min={min} max={max} step={step}
          value={Math.min(max, Math.max(min, value ?? fallback))}
          onInput={(event) => onChange(event.currentTarget.valueAsNumber)} />
        <input class="input" type="number" inputMode="decimal" step="any" value={value ?? ''} placeholder={String(fallback)}
          onInput={(event) => onChange(numberIn(event.currentTarget.value))} {...described(id, hint)} />
      </div>
    </Field>
  );
}
