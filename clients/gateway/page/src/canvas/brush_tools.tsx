// What is beside a canvas to draw on.
import type { Brush } from './brush_canvas';
import { type Drawing, EMPTY, redo, undo } from './strokes';
import { Icon, type IconName } from '../parts/icon';

export interface ToolsParts {
  brush: Brush;
  drawing: Drawing;
  onBrush: (brush: Brush) => void;
  onChange: (drawing: Drawing) => void;
}

const NARROWEST = 0.02;
const WIDEST = 0.4;

export function BrushTools({ brush, drawing, onBrush, onChange }: ToolsParts) {
  return (
    <div class="tools" role="group" aria-label="Brush">
      <Tool icon="brush" label="Brush" pressed={!brush.erases} onClick={() => onBrush({ ...brush, erases: false })} />
      <Tool icon="eraser" label="Eraser" pressed={brush.erases} onClick={() => onBrush({ ...brush, erases: true })} />
      <input class="range" type="range" aria-label="Width of the brush" min={NARROWEST} max={WIDEST} step={0.01} value={brush.width}
        onInput={(event) => onBrush({ ...brush, width: event.currentTarget.valueAsNumber })} />
      <Tool icon="undo" label="Undo" disabled={drawing.strokes.length === 0} onClick={() => onChange(undo(drawing))} />
      <Tool icon="redo" label="Redo" disabled={drawing.undone.length === 0} onClick={() => onChange(redo(drawing))} />
      <Tool icon="trash" label="Clear" disabled={drawing.strokes.length === 0} onClick={() => onChange(EMPTY)} />
    </div>
  );
}

function Tool({ icon, label, pressed, disabled, onClick }: {
  icon: IconName; label: string; pressed?: boolean; disabled?: boolean; onClick: () => void;
}) {
  return (
    <button type="button" class="button icon compact" aria-label={label} title={label} aria-pressed={pressed} disabled={disabled}
      onClick={onClick}><Icon name={icon} size={16} /></button>
  );
}
