// How large the picture is, and how many of them.
import { info } from '../api/server';
import type { Model } from '../api/wire';
import { described, FieldError } from '../parts/field';
import { Icon } from '../parts/icon';
import { numberIn } from '../parts/number_field';
import { change, settings } from '../settings/form';
import { sizeOf, sizesOf } from '../settings/model_choices';

export function SizeField({ model }: { model: Model }) {
  const { width, height } = sizeOf(model, settings.value);
  return (
    <fieldset class="field" aria-describedby="size-hint">
      <legend class="label">Size</legend>
      <div class="chips">
        {sizesOf(model).map((size) => (
          <button type="button" class="chip numbers" key={`${size.width}x${size.height}`}
            aria-pressed={size.width === width && size.height === height} onClick={() => change(size)}>
            {size.width}&thinsp;×&thinsp;{size.height}
          </button>
        ))}
      </div>
      <div class="size-pair">
        <Side name="width" label="Width" value={settings.value.width} fallback={model.defaults?.width} />
        <button type="button" class="button icon" aria-label="Swap width and height"
          onClick={() => change({ width: height, height: width })}><Icon name="swap" /></button>
        <Side name="height" label="Height" value={settings.value.height} fallback={model.defaults?.height} />
      </div>
      <FieldError id="width" />
      <FieldError id="height" />
      <p class="hint" id="size-hint">{hintOf(model)}</p>
    </fieldset>
  );
}

function hintOf({ limits }: Model): string {
  return `Pixels: multiples of ${limits?.sizeMultiple ?? 8}, from ${limits?.minSide ?? 8} to ${limits?.maxSide ?? 2048}.`;
}

interface SideParts {
  name: 'width' | 'height';
  label: string;
  value: number | undefined;
  fallback: number | undefined;
}

function Side({ name, label, value, fallback }: SideParts) {
  return (
    <input class="input" type="number" inputMode="numeric" step="any" aria-label={label} value={value ?? ''}
      placeholder={String(fallback ?? '')} onInput={(event) => change({ [name]: numberIn(event.currentTarget.value) })}
      {...described(name)} />
  );
}

export function CountField() {
  const most = info.value.limits?.maxImageCount ?? 4;
  const counts = Array.from({ length: Math.min(most, 8) }, (_, index) => index + 1);
  return (
    <fieldset class="field">
      <legend class="label">Pictures</legend>
      <div class="chips">
        {counts.map((count) => (
          <label class="chip numbers" key={count}>
            <input type="radio" name="count" checked={settings.value.count === count} onChange={() => change({ count })} />
            {count}
          </label>
        ))}
      </div>
      <FieldError id="count" />
    </fieldset>
  );
}
