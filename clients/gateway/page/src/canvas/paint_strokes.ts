// Strokes on a canvas, at any size.
import type { Stroke } from './strokes';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Erasing strokes leave nothing, or `paper` where there is any. */
export function paintStrokes(context: Context, strokes: Stroke[], colour: string, paper?: string): void {
  const { width, height } = context.canvas;
  const short = Math.min(width, height);
  context.lineCap = 'round';
  context.lineJoin = 'round';
  for (const stroke of strokes) {
    context.globalCompositeOperation = stroke.erases && paper === undefined ? 'destination-out' : 'source-over';
    context.strokeStyle = stroke.erases && paper !== undefined ? paper : colour;
    context.lineWidth = stroke.width * short;
    context.beginPath();
    for (const { x, y } of stroke.points) context.lineTo(x * width, y * height);
    // A line without length is not drawn, round ends or not.
    const dot = stroke.points.length === 1 ? stroke.points[0] : undefined;
    if (dot !== undefined) context.lineTo(dot.x * width + 0.01, dot.y * height);
    context.stroke();
  }
  context.globalCompositeOperation = 'source-over';
}
