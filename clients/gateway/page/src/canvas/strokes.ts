// What a brush has drawn, apart from any canvas: points and widths are fractions of the picture, so that the same strokes
// are shown large and sent small.
export interface Point {
  x: number;
  y: number;
}

export interface Stroke {
  /** Of the picture's shorter side. */
  width: number;
  erases: boolean;
  points: Point[];
}

export interface Drawing {
  strokes: Stroke[];
  /** What was undone last comes first to be done again. */
  undone: Stroke[];
}

export const EMPTY: Drawing = { strokes: [], undone: [] };

/** Points nearer than this to the last one say nothing new. */
const NEAR = 0.002;

export function begun(drawing: Drawing, stroke: Stroke): Drawing {
  return { strokes: [...drawing.strokes, stroke], undone: [] };
}

export function continued(drawing: Drawing, point: Point): Drawing {
  const last = drawing.strokes.at(-1);
  if (last === undefined) return drawing;
  const before = last.points.at(-1);
  if (before !== undefined && Math.hypot(point.x - before.x, point.y - before.y) < NEAR) return drawing;
  return { ...drawing, strokes: [...drawing.strokes.slice(0, -1), { ...last, points: [...last.points, point] }] };
}

export function undo(drawing: Drawing): Drawing {
  const last = drawing.strokes.at(-1);
  if (last === undefined) return drawing;
  return { strokes: drawing.strokes.slice(0, -1), undone: [last, ...drawing.undone] };
}

export function redo(drawing: Drawing): Drawing {
  const [next, ...undone] = drawing.undone;
  return next === undefined ? drawing : { strokes: [...drawing.strokes, next], undone };
}

/** An erased drawing marks nothing, nor does an empty one. */
export const marks = (drawing: Drawing): boolean => drawing.strokes.some(({ erases }) => !erases);

/** Where a pointer at (clientX, clientY) is in a box. */
export function within(box: { left: number; top: number; width: number; height: number }, x: number, y: number): Point {
  return { x: (x - box.left) / Math.max(1, box.width), y: (y - box.top) / Math.max(1, box.height) };
}
