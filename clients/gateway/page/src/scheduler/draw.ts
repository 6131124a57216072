// Draws the timeline: a column for each tick, a cell for each row, coloured by request.
import type { Owners } from './owners';
import { type Cell, type Column, isDenoise, type Timeline } from './timeline';

export interface Palette {
  hues: string[];
  others: string[];
  line: string;
  ink: string;
  faint: string;
  accent: string;
  surface: string;
}

export interface Layout {
  width: number;
  height: number;
  cap: number;
  knee: number | undefined;
  /** Plan that is looked at closely. */
  chosen: number | undefined;
}

export const PITCH = 12;
/** Room for the words beside the levels. */
export const GUTTER = 60;
const GAP = 2;
const IDLE_WIDTH = 14;
export const BOTTOM = 10;
const TOP = 12;

/** Where the columns stand, newest at the right edge: [column, left]. Those that do not fit are left out. */
export function placed(columns: Column[], width: number): [Column, number][] {
  const result: [Column, number][] = [];
  let right = width - 4;
  for (const column of columns.toReversed()) {
    const left = right - PITCH + GAP;
    if (left < GUTTER) break;
    result.push([column, left]);
    right -= PITCH + (column.idleMs > 0 ? IDLE_WIDTH : 0);
  }
  return result;
}

function colourOf(job: number, owners: Owners, palette: Palette): string {
  const hue = owners.get(job)?.hue;
  const colours = hue === undefined ? palette.others : palette.hues;
  return colours[(hue ?? job) % colours.length] ?? palette.ink;
}

/** Height of one row, so that the cap and a little more fit. */
export const rowHeight = ({ height, cap }: Layout): number => (height - BOTTOM - TOP) / (Math.max(cap, 4) + 0.5);

function drawLevel(context: CanvasRenderingContext2D, layout: Layout, rows: number, style: { colour: string; dash: number[] }): void {
  const y = Math.round(layout.height - BOTTOM - rows * rowHeight(layout)) - 0.5;
  context.strokeStyle = style.colour;
  context.setLineDash(style.dash);
  context.beginPath();
  context.moveTo(0, y);
  context.lineTo(layout.width, y);
  context.stroke();
  context.setLineDash([]);
}

function drawDenoise(context: CanvasRenderingContext2D, column: Column, left: number, scene: Scene): void {
  const { layout, owners, palette } = scene;
  const each = rowHeight(layout);
  let bottom = layout.height - BOTTOM;
  for (const cell of column.cells) {
    context.fillStyle = colourOf(cell.job, owners, palette);
    // The first and the last evaluation of a picture are one block, with a mark in it.
    const blocks = cell.joins || cell.leaves ? 1 : cell.rows;
    const tall = (cell.rows * each) / blocks;
    const middle = bottom - (cell.rows * each) / 2;
    for (let block = 0; block < blocks; ++block) {
      context.beginPath();
      context.roundRect(left, bottom - tall + 1, PITCH - GAP, Math.max(1, tall - 1.5), Math.min(2.5, each / 3));
      context.fill();
      bottom -= tall;
    }
    if (cell.joins || cell.leaves) mark(context, left + (PITCH - GAP) / 2, middle, cell, palette.surface);
  }
}

/** A plus where a picture joins, a tick where it is done. */
function mark(context: CanvasRenderingContext2D, x: number, y: number, { leaves }: Cell, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 1.8;
  context.lineCap = 'round';
  context.beginPath();
  if (leaves) {
    context.moveTo(x - 2.8, y + 0.2);
    context.lineTo(x - 0.8, y + 2.4);
    context.lineTo(x + 2.9, y - 2.2);
  } else {
    context.moveTo(x - 2.8, y);
    context.lineTo(x + 2.8, y);
    context.moveTo(x, y - 2.8);
    context.lineTo(x, y + 2.8);
  }
  context.stroke();
  context.lineWidth = 1;
}

/** Encoding and decoding: a dot for each picture, on the ground line. */
function drawOther(context: CanvasRenderingContext2D, column: Column, left: number, scene: Scene): void {
  const { layout, owners, palette } = scene;
  const ground = layout.height - BOTTOM;
  context.fillStyle = palette.line;
  context.fillRect(left + (PITCH - GAP) / 2 - 0.5, ground - column.cells.length * 6 - 2, 1, column.cells.length * 6 + 2);
  column.cells.forEach(({ job }, index) => {
    context.fillStyle = colourOf(job, owners, palette);
    context.beginPath();
    context.arc(left + (PITCH - GAP) / 2, ground - 4 - index * 6, 2.4, 0, 2 * Math.PI);
    context.fill();
  });
}

export interface Scene {
  timeline: Timeline;
  owners: Owners;
  palette: Palette;
  layout: Layout;
}

export function draw(context: CanvasRenderingContext2D, scene: Scene): void {
  const { layout, palette, timeline } = scene;
  context.clearRect(0, 0, layout.width, layout.height);
  context.lineWidth = 1;
  for (let rows = 4; rows < layout.cap; rows += 4) drawLevel(context, layout, rows, { colour: palette.faint, dash: [] });
  if (layout.knee !== undefined && layout.knee < layout.cap) {
    drawLevel(context, layout, layout.knee, { colour: palette.accent, dash: [2, 4] });
  }
  drawLevel(context, layout, layout.cap, { colour: palette.ink, dash: [6, 4] });
  drawLevel(context, layout, 0, { colour: palette.line, dash: [] });
  for (const [column, left] of placed(timeline.columns, layout.width)) {
    if (column.plan === layout.chosen) {
      context.fillStyle = palette.faint;
      context.fillRect(left - 1.5, TOP / 2, PITCH + 1, layout.height - BOTTOM - TOP / 2);
    }
    if (isDenoise(column)) drawDenoise(context, column, left, scene);
    else drawOther(context, column, left, scene);
    if (column.idleMs > 0) drawIdle(context, left, scene);
  }
}

/** Time in which nothing happened: no width of its own, but told. */
function drawIdle(context: CanvasRenderingContext2D, left: number, { layout, palette }: Scene): void {
  context.fillStyle = palette.line;
  const ground = layout.height - BOTTOM;
  for (let dot = 0; dot < 3; ++dot) {
    context.beginPath();
    context.arc(left - IDLE_WIDTH / 2 - 1, ground - 5 - dot * 5, 1, 0, 2 * Math.PI);
    context.fill();
  }
}
