import { describe, expect, test } from 'vitest';

import { base64, bytesOf, covering } from '../../src/canvas/encode';
import { begun, continued, EMPTY, marks, redo, type Stroke, undo, within } from '../../src/canvas/strokes';

const stroke = (x: number, erases = false): Stroke => ({ width: 0.1, erases, points: [{ x, y: 0.5 }] });

describe('a drawing', () => {
  test('grows by points that are apart', () => {
    const drawing = continued(continued(begun(EMPTY, stroke(0.1)), { x: 0.1005, y: 0.5 }), { x: 0.3, y: 0.5 });
    expect(drawing.strokes).toEqual([{ ...stroke(0.1), points: [{ x: 0.1, y: 0.5 }, { x: 0.3, y: 0.5 }] }]);
  });
  test('is undone and done again, stroke by stroke', () => {
    const two = begun(begun(EMPTY, stroke(0.1)), stroke(0.2));
    expect(undo(two).strokes).toEqual([stroke(0.1)]);
    expect(redo(undo(two))).toEqual(two);
    expect(redo(redo(undo(undo(two))))).toEqual(two);
    expect(undo(EMPTY)).toBe(EMPTY);
    expect(redo(two)).toBe(two);
  });
  test('forgets what was undone once something else is drawn', () => {
    expect(redo(begun(undo(begun(EMPTY, stroke(0.1))), stroke(0.2))).strokes).toEqual([stroke(0.2)]);
  });
  test('marks something only where a stroke does not erase', () => {
    expect(marks(EMPTY)).toBe(false);
    expect(marks(begun(EMPTY, stroke(0.1, true)))).toBe(false);
    expect(marks(begun(EMPTY, stroke(0.1)))).toBe(true);
  });
  test('is continued only where it was begun', () => expect(continued(EMPTY, { x: 0, y: 0 })).toBe(EMPTY));
});

test('a pointer is somewhere in the picture', () => {
  expect(within({ left: 10, top: 20, width: 200, height: 100 }, 110, 45)).toEqual({ x: 0.5, y: 0.25 });
});

test('a picture covers a size from its middle', () => {
  expect(covering({ width: 200, height: 100 }, { width: 64, height: 64 })).toEqual({ x: 50, y: 0, width: 100, height: 100 });
  expect(covering({ width: 64, height: 64 }, { width: 64, height: 64 })).toEqual({ x: 0, y: 0, width: 64, height: 64 });
});

test('base64 goes there and back, also of much', () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
  expect(Buffer.from(bytesOf(base64(bytes))).equals(bytes)).toBe(true);
});
