// ControlNet: a sketch, or any picture, that the painting follows.
import { useState } from 'preact/hooks';

import type { Model } from '../api/wire';
import { type Brush, BrushCanvas } from '../canvas/brush_canvas';
import { BrushTools } from '../canvas/brush_tools';
import { changeInputs, inputs } from '../canvas/inputs';
import { EMPTY, marks } from '../canvas/strokes';
import { useUrl } from '../canvas/use_url';
import { described, Field, FieldError } from '../parts/field';
import { FileButton } from '../parts/file_button';
import { NumberField } from '../parts/number_field';
import { Section } from '../parts/section';
import { change, clearErrors, settings } from '../settings/form';
import { type Size, sizeOf } from '../settings/model_choices';

export function SketchSection({ model }: { model: Model }) {
  const nets = model.controlNets ?? [];
  if (nets.length === 0) return null;
  const { sketch, sketchFile } = inputs.value;
  const used = sketchFile !== undefined || marks(sketch);
  return (
    <Section title="Follow a sketch" note={used ? 'on' : ''} open={used}>
      {nets.length > 1 && (
        <Field id="controlNet" label="ControlNet">
          <select class="select" value={settings.value.controlNet || nets[0]?.id} {...described('controlNet')}
            onChange={(event) => change({ controlNet: event.currentTarget.value })}>
            {nets.map(({ id }) => <option key={id} value={id}>{id}</option>)}
          </select>
        </Field>
      )}
      {sketchFile === undefined ? <Sketch size={sizeOf(model, settings.value)} /> : <SketchFile file={sketchFile} />}
      <FieldError id="sketch" />
      {used && (
        <>
          <NumberField id="controlScale" label="How closely" value={settings.value.controlScale} fallback={1} min={0} max={2}
            step={0.05} onChange={(controlScale) => change({ controlScale: controlScale ?? 1 })} />
          <label class="check">
            <input type="checkbox" checked={inputs.value.sketchInverted}
              onChange={(event) => changeInputs({ sketchInverted: event.currentTarget.checked })} />
            Light lines on black, as some nets want them
          </label>
        </>
      )}
    </Section>
  );
}

function Sketch({ size }: { size: Size }) {
  const [brush, setBrush] = useState<Brush>({ width: 0.04, erases: false });
  const { sketch } = inputs.value;
  const onChange = (drawing: typeof sketch) => {
    changeInputs({ sketch: drawing });
    clearErrors(['sketch']);
  };
  return (
    <>
      <BrushCanvas label="Sketch" size={size} drawing={sketch} brush={brush} colour="#000" className="paper" onChange={onChange}>
        {!marks(sketch) && <span class="invite">Draw an outline</span>}
      </BrushCanvas>
      <BrushTools brush={brush} drawing={sketch} onBrush={setBrush} onChange={onChange} />
      <div class="row">
        <FileButton label="Take a file" onPick={(sketchFile) => changeInputs({ sketchFile, sketch: EMPTY })} />
      </div>
    </>
  );
}

function SketchFile({ file }: { file: Blob }) {
  const url = useUrl(file);
  return (
    <>
      {url !== '' && <div class="brush paper"><img class="still" src={url} alt="The picture to follow" /></div>}
      <div class="row">
        <button type="button" class="button quiet" onClick={() => changeInputs({ sketchFile: undefined })}>Remove, and draw</button>
      </div>
    </>
  );
}
