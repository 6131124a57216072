// The canvas of the timeline: drawn when something changes, explored with pointer and keys.
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';

import { BOTTOM, draw, type Layout, type Palette, placed, PITCH, rowHeight } from './draw';
import { paletteOf } from './palette';
import { capacity, owners, timeline } from './watch';
import { theme } from '../parts/theme';

export interface TimelineCanvasParts {
  /** Plan that is looked at closely. */
  chosen: number | undefined;
  onChoose: (plan: number | undefined) => void;
}

export function TimelineCanvas({ chosen, onChoose }: TimelineCanvasParts) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const palette = useRef<Palette | undefined>(undefined);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    const system = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => {
      palette.current = undefined;
      setSize((before) => ({ ...before }));
    };
    system.addEventListener('change', repaint);
    return () => {
      observer.disconnect();
      system.removeEventListener('change', repaint);
    };
  }, []);
  const scheme = theme.value;
  useEffect(() => {
    palette.current = undefined;
  }, [scheme]);
  const paint = () => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (!element || !context || size.width === 0 || element.parentElement === null) return;
    palette.current ??= paletteOf(element.parentElement);
    const scale = devicePixelRatio;
    const [width, height] = [Math.round(size.width * scale), Math.round(size.height * scale)];
    if (element.width !== width) element.width = width;
    if (element.height !== height) element.height = height;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const layout: Layout = { ...size, ...capacity.value, chosen };
    draw(context, { timeline: timeline.value, owners: owners.value, palette: palette.current, layout });
  };
  useSignalEffect(paint);
  useEffect(paint);

  const shown = () => placed(timeline.value.columns, size.width);
  const onPointerMove = (event: PointerEvent) => {
    const x = event.offsetX;
    onChoose(shown().find(([, left]) => x >= left && x < left + PITCH)?.[0].plan);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowLeft' ? 1 : event.key === 'ArrowRight' ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const columns = shown();  // newest first
    const at = columns.findIndex(([{ plan }]) => plan === chosen);
    onChoose(columns[Math.min(columns.length - 1, Math.max(0, at + by))]?.[0].plan);
  };
  const each = rowHeight({ ...size, ...capacity.value, chosen });
  const { cap, knee } = capacity.value;
  return (
    <>
      <canvas ref={canvas} tabIndex={0} role="img" onPointerMove={onPointerMove} onPointerLeave={() => onChoose(undefined)}
        onKeyDown={onKeyDown} onBlur={() => onChoose(undefined)}
        aria-label="Timeline of the scheduler: a column for each tick, a cell for each row. Arrow keys go from tick to tick." />
      {size.height > 0 && <Mark rows={cap} each={each} text={`${cap} full`} />}
      {size.height > 0 && knee !== undefined && knee < cap && <Mark rows={Math.min(knee, cap - APART / each)} each={each} text={`${knee} knee`} className="knee" />}
    </>
  );
}

/** Pixels between the words of two levels that are nearly the same. */
const APART = 17;

function Mark({ rows, each, text, className = '' }: { rows: number; each: number; text: string; className?: string }) {
  const place = (element: HTMLElement | null) => element?.style.setProperty('bottom', `calc(${BOTTOM + rows * each}px - 0.6rem)`);
  return <span class={`mark numbers ${className}`} ref={place}>{text}</span>;
}
