// A canvas to draw on with a pointer or with the keys.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

import { paintStrokes } from './paint_strokes';
import { begun, continued, type Drawing, type Point, within } from './strokes';
import type { Size } from '../settings/model_choices';

export interface Brush {
  width: number;
  erases: boolean;
}

export interface BrushCanvasParts {
  label: string;
  size: Size;
  drawing: Drawing;
  brush: Brush;
  /** CSS variable or colour. */
  colour: string;
  className: string;
  onChange: (drawing: Drawing) => void;
  /** Below the strokes. */
  children?: ComponentChildren;
}

const KEY_STEP = 0.05;
const DIRECTIONS: Record<string, Point | undefined> = {
  ArrowLeft: { x: -KEY_STEP, y: 0 }, ArrowRight: { x: KEY_STEP, y: 0 }, ArrowUp: { x: 0, y: -KEY_STEP }, ArrowDown: { x: 0, y: KEY_STEP },
};

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

function redraw(canvas: HTMLCanvasElement, parts: Pick<BrushCanvasParts, 'drawing' | 'colour' | 'brush'>, cursor: Point | undefined): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  const scale = devicePixelRatio;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  paintStrokes(context, parts.drawing.strokes, parts.colour);
  if (cursor === undefined) return;
  context.strokeStyle = parts.colour;
  context.lineWidth = 2 * scale;
  const radius = Math.max(4 * scale, (parts.brush.width * Math.min(canvas.width, canvas.height)) / 2);
  context.beginPath();
  context.arc(cursor.x * canvas.width, cursor.y * canvas.height, radius, 0, 2 * Math.PI);
  context.stroke();
}

export function BrushCanvas(parts: BrushCanvasParts) {
  const { label, size, drawing, brush, colour, className, onChange, children } = parts;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cursor, setCursor] = useState<Point>();
  useEffect(() => {
    if (canvas.current !== null) redraw(canvas.current, { drawing, colour, brush }, cursor);
  }, [drawing, colour, brush, cursor, size.width, size.height]);

  const pointOf = (event: PointerEvent) => within((event.currentTarget as Element).getBoundingClientRect(), event.clientX, event.clientY);
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    setCursor(undefined);
    onChange(begun(drawing, { ...brush, points: [pointOf(event)] }));
  };
  const onPointerMove = (event: PointerEvent) => {
    if ((event.currentTarget as Element).hasPointerCapture(event.pointerId)) onChange(continued(drawing, pointOf(event)));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const from = cursor ?? { x: 0.5, y: 0.5 };
    const way = DIRECTIONS[event.key];
    if (way !== undefined) setCursor({ x: clamped(from.x + way.x), y: clamped(from.y + way.y) });
    else if (event.key === ' ') onChange(begun(drawing, { ...brush, points: [from] }));
    else return;
    event.preventDefault();
  };
  return (
    <div class={`brush ${className}`} ref={(element) => element?.style.setProperty('aspect-ratio', `${size.width} / ${size.height}`)}>
      {children}
      <canvas ref={canvas} role="application" tabIndex={0} onPointerDown={onPointerDown} onPointerMove={onPointerMove}
        onKeyDown={onKeyDown} onBlur={() => setCursor(undefined)}
        aria-label={`${label}. Arrow keys move the brush, Space paints a dot.`} />
    </div>
  );
}
