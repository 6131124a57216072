// One tick in words.
import type { Owners } from './owners';
import { type Column, isDenoise } from './timeline';
import { counted, spoken } from '../api/units';

const PHASES: Record<string, string> = {
  TICK_PHASE_ENCODE: 'reads words', TICK_PHASE_DENOISE: 'denoises', TICK_PHASE_DECODE: 'makes pictures of latents',
  TICK_PHASE_ENCODE_PICTURE: 'makes latents of pictures', TICK_PHASE_PREVIEW: 'makes previews', TICK_PHASE_UPSCALE: 'enlarges',
};

export function inWords(column: Column, owners: Owners): string {
  const own = column.cells.filter(({ job }) => owners.has(job)).length;
  const joins = column.cells.filter((cell) => cell.joins).length;
  const leaves = column.cells.filter((cell) => cell.leaves).length;
  const parts = [
    `Tick ${column.plan} ${PHASES[column.phase] ?? 'works'}`,
    column.model,
    `${counted(column.cells.length, 'picture')}${own > 0 && own < column.cells.length ? `, ${own} of this page` : ''}`,
    isDenoise(column) ? counted(column.rows, 'row') : '',
    joins > 0 ? `${joins} joined` : '',
    leaves > 0 ? `${leaves} done` : '',
    column.measuredMs === undefined ? '' : spoken(column.measuredMs),
    column.predictedMs === undefined ? '' : `${spoken(column.predictedMs)} predicted`,
  ];
  return parts.filter((part) => part !== '').join(' · ');
}
