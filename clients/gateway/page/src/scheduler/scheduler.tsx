// The scheduler, live: people should see that pictures share steps.
import { useEffect, useState } from 'preact/hooks';

import { paintTogether } from './demonstration';
import { inWords } from './readout';
import { isDenoise, occupancy } from './timeline';
import { TimelineCanvas } from './timeline_canvas';
import { capacity, owners, paused, queued, ticksSentence, ticksState, timeline, watchScheduler } from './watch';
import { spoken } from '../api/units';
import { Icon } from '../parts/icon';
import { model } from '../settings/form';

export function Scheduler() {
  const [chosen, setChosen] = useState<number>();
  useEffect(() => {
    const leaving = new AbortController();
    watchScheduler(leaving.signal);
    return () => leaving.abort();
  }, []);
  const { columns } = timeline.value;
  const column = columns.find(({ plan }) => plan === chosen);
  return (
    <section class="card scheduler" aria-labelledby="scheduler-title">
      <div class="scheduler-top">
        <h2 id="scheduler-title">Scheduler</h2>
        <span class="soft small">Every column is one forward of the denoiser, every cell a row of it</span>
        <span class="space" />
        <button type="button" class="button compact" disabled={model.value === undefined} onClick={() => void paintTogether()}>
          Paint eight together
        </button>
        <button type="button" class="button icon compact" aria-pressed={paused.value} aria-label="Hold the timeline still"
          title={paused.value ? 'Go on' : 'Hold still'} onClick={() => (paused.value = !paused.value)}>
          <Icon name={paused.value ? 'play' : 'pause'} size={16} />
        </button>
      </div>
      <Gauges />
      <div class="timeline">
        <TimelineCanvas chosen={chosen} onChoose={setChosen} />
        {columns.length === 0 && <Quiet />}
      </div>
      <div class="scheduler-foot">
        {column === undefined ? <Legend /> : <p class="readout" role="status">{inWords(column, owners.value)}</p>}
      </div>
    </section>
  );
}

const capital = (sentence: string): string => sentence.charAt(0).toUpperCase() + sentence.slice(1);

function Quiet() {
  const words = {
    connecting: 'Asks for the scheduler’s ticks.',
    live: 'Quiet: nobody paints. Every tick that the server makes will appear here.',
    away: 'The scheduler is out of reach. The view comes back by itself.',
    shut: capital(ticksSentence.value) || 'The gateway was not told where the scheduler can be watched.',
  };
  return <div class="quiet"><p>{words[ticksState.value]}</p></div>;
}

function Gauge({ name, value, unit }: { name: string; value: string; unit: string }) {
  return <div class="gauge"><dt>{name}</dt><dd>{value} <small>{unit}</small></dd></div>;
}

function Gauges() {
  const { rows, pictures, ticks } = occupancy(timeline.value);
  const last = timeline.value.columns.findLast(isDenoise);
  const nothing = ticks === 0;
  return (
    <dl class="gauges">
      <Gauge name="Rows per tick" value={nothing ? '–' : rows.toFixed(1)} unit={`of ${capacity.value.cap}`} />
      <Gauge name="Pictures in the last tick" value={nothing ? '–' : String(pictures)} unit="" />
      <Gauge name="Last tick" value={last?.measuredMs === undefined ? '–' : spoken(last.measuredMs)}
        unit={last?.predictedMs === undefined ? '' : `${spoken(last.predictedMs)} predicted`} />
      <Gauge name="Waiting" value={String(queued.value)} unit="" />
      {timeline.value.dropped > 0 && <Gauge name="Not seen" value={String(timeline.value.dropped)} unit="ticks" />}
    </dl>
  );
}

const PLUS = 'M3 6h6M6 3v6';
const DONE = 'm3 6.2 2 2.200L9 4';

function Sample({ hue, mark, words }: { hue: string; mark?: string; words: string }) {
  return (
    <span class="legend">
      <svg width="12" height="12" fill="none" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" aria-hidden="true">
        <rect width="12" height="12" rx="3" fill={`var(${hue})`} stroke="none" />
        {mark !== undefined && <path d={mark} />}
      </svg>
      {words}
    </span>
  );
}

function Legend() {
  return (
    <>
      <Sample hue="--hue-0" mark={PLUS} words="joins" />
      <Sample hue="--hue-0" mark={DONE} words="is done" />
      <span class="legend">
        <svg width="8" height="12" aria-hidden="true"><circle cx="4" cy="6" r="2.6" fill="var(--hue-0)" /></svg>
        reads words, or makes a picture
      </span>
      <Sample hue="--other-0" words="somebody else’s" />
      <span class="legend">Colours are those of the pictures below.</span>
    </>
  );
}
