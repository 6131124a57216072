// Image-to-image and inpainting: a picture to begin with, and a brush for what may change.
import { useState } from 'preact/hooks';

import type { Model } from '../api/wire';
import { beginWith, hovering } from '../canvas/arrivals';
import { type Brush, BrushCanvas } from '../canvas/brush_canvas';
import { BrushTools } from '../canvas/brush_tools';
import { changeInputs, inputs } from '../canvas/inputs';
import { EMPTY, marks } from '../canvas/strokes';
import { useUrl } from '../canvas/use_url';
import { FieldError } from '../parts/field';
import { FileButton } from '../parts/file_button';
import { NumberField } from '../parts/number_field';
import { Section } from '../parts/section';
import { change, settings } from '../settings/form';
import { needsPicture, sizeOf, takesMask, takesStrength } from '../settings/model_choices';

export function StartSection({ model }: { model: Model }) {
  if (model.encodesPictures !== true) return null;
  const { start, mask } = inputs.value;
  const note = start === undefined ? (needsPicture(model) ? 'needed' : '') : marks(mask) ? 'repaints a part' : 'on';
  return (
    <Section title="Begin with a picture" note={note} open={start !== undefined || hovering.value || needsPicture(model)}>
      {start === undefined ? <DropZone /> : <Start model={model} start={start} />}
      <FieldError id="start" />
    </Section>
  );
}

function DropZone() {
  return (
    <div class={`drop${hovering.value ? ' over' : ''}`}>
      <FileButton label="Choose a picture" onPick={beginWith} />
      <span>or drop or paste one anywhere</span>
    </div>
  );
}

function Start({ model, start }: { model: Model; start: Blob }) {
  const url = useUrl(start);
  const [brush, setBrush] = useState<Brush>({ width: 0.16, erases: false });
  const { mask } = inputs.value;
  const onChange = (drawing: typeof mask) => changeInputs({ mask: drawing });
  const size = sizeOf(model, settings.value);
  const picture = url === '' ? null : <img src={url} alt="The picture to begin with" class={size.width <= 128 ? 'tiny' : ''} />;
  return (
    <>
      {takesMask(model) ? (
        <>
          <BrushCanvas label="What to repaint" size={size} drawing={mask} brush={brush} colour="#3f5bd9" className="mask"
            onChange={onChange}>{picture}</BrushCanvas>
          <BrushTools brush={brush} drawing={mask} onBrush={setBrush} onChange={onChange} />
          <p class="hint">Brush over what may change. Without a stroke all of it may.</p>
        </>
      ) : picture}
      {takesStrength(model) && (
        <NumberField id="strength" label="How much may change" value={settings.value.strength} fallback={0.6} min={0.05} max={1}
          step={0.05} onChange={(strength) => change({ strength: strength ?? 0.6 })} />
      )}
      {marks(mask) && (
        <NumberField id="maskBlur" label="Soft edge" value={settings.value.maskBlur} fallback={0} min={0} max={16}
          step={0.5} onChange={(maskBlur) => change({ maskBlur: maskBlur ?? 0 })} />
      )}
      <div class="row">
        <FileButton label="Another" onPick={beginWith} />
        <button type="button" class="button quiet" onClick={() => changeInputs({ start: undefined, mask: EMPTY })}>Remove</button>
      </div>
    </>
  );
}
