// Pictures as the server takes them: PNG of the size that is painted, base64.
import type { Size } from '../settings/model_choices';
import { paintStrokes } from './paint_strokes';
import type { Stroke } from './strokes';

function contextOf({ width, height }: Size): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext('2d');
  if (context === null) throw new Error('This browser cannot draw on a canvas.');
  return context;
}

async function base64Of(context: OffscreenCanvasRenderingContext2D): Promise<string> {
  const blob = await context.canvas.convertToBlob({ type: 'image/png' });
  return base64(new Uint8Array(await blob.arrayBuffer()));
}

export function base64(bytes: Uint8Array): string {
  const PIECE = 0x8000;  // as many arguments as any engine takes
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(text);
}

export function bytesOf(encoded: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
}

/** The part of a picture that covers a size, from its middle. */
export function covering(picture: Size, size: Size): { x: number; y: number; width: number; height: number } {
  const scale = Math.min(picture.width / size.width, picture.height / size.height);
  const width = size.width * scale;
  const height = size.height * scale;
  return { x: (picture.width - width) / 2, y: (picture.height - height) / 2, width, height };
}

/** A picture, cut and scaled to cover `size`; its negative with `inverted`. */
export async function encodedPicture(picture: Blob, size: Size, inverted = false): Promise<string> {
  const bitmap = await createImageBitmap(picture);
  const context = contextOf(size);
  const part = covering(bitmap, size);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size.width, size.height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, part.x, part.y, part.width, part.height, 0, 0, size.width, size.height);
  bitmap.close();
  if (inverted) negative(context, size);
  return base64Of(context);
}

/** White repaints, black keeps. */
export async function encodedMask(strokes: Stroke[], size: Size): Promise<string> {
  const context = contextOf(size);
  context.fillStyle = '#000';
  context.fillRect(0, 0, size.width, size.height);
  paintStrokes(context, strokes, '#fff', '#000');
  return base64Of(context);
}

/** Dark lines on white, as drawn; white on black with `inverted`. */
export async function encodedSketch(strokes: Stroke[], size: Size, inverted: boolean): Promise<string> {
  const context = contextOf(size);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size.width, size.height);
  paintStrokes(context, strokes, '#000', '#fff');
  if (inverted) negative(context, size);
  return base64Of(context);
}

function negative(context: OffscreenCanvasRenderingContext2D, size: Size): void {
  context.globalCompositeOperation = 'difference';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size.width, size.height);
  context.globalCompositeOperation = 'source-over';
}
