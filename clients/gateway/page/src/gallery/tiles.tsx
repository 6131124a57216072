// A picture of the grid: finished, being painted, or failed.
import type { Shown } from './gallery';
import { isTiny } from './tiny';
import { spoken } from '../api/units';
import { models } from '../api/server';
import { Icon } from '../parts/icon';
import { fractionOf, type Frame, type Painting, titleOf } from '../paintings/painting';
import { cancel, dismiss, retry } from '../paintings/paintings';
import { kindly } from '../settings/refusal_words';

/** Sets a custom property through the CSSOM: the page's policy forbids style attributes. */
function hued(hue: number | undefined) {
  return (element: HTMLElement | null) => {
    if (hue !== undefined) element?.style.setProperty('--hue', `var(--hue-${hue})`);
  };
}

export function FinishedTile({ picture, onOpen }: { picture: Shown; onOpen: () => void }) {
  return (
    <li class="tile" ref={hued(picture.hue)}>
      <button type="button" class="frame" onClick={onOpen} aria-label={`${picture.title}, seed ${picture.seed}: look closely`}>
        <img src={picture.url} alt="" loading="lazy" class={isTiny(picture) ? 'tiny' : ''} />
      </button>
      <div class="cap">
        {picture.hue !== undefined && <span class="dot" />}
        <span class="title">{picture.title}</span>
        {picture.request.steps !== undefined && <span class="meta numbers">{picture.request.steps} steps</span>}
      </div>
    </li>
  );
}

function stateOf(painting: Painting, frame: Frame): string {
  if (painting.status === 'waiting') return 'Waits for the server';
  if (painting.status === 'sending') return 'Asks the server';
  if (frame.done > 0) return `${frame.step} of ${frame.steps}`;
  return frame.ahead > 0 ? `${frame.ahead} before it` : 'Begins';
}

function titleFor({ request }: Painting): string {
  const labels = models.value.find(({ id }) => id === request.model)?.classLabels;
  return titleOf(request, labels?.find(({ index }) => (index ?? 0) === request.classIndex)?.label);
}

export function LiveTile({ painting, index }: { painting: Painting; index: number }) {
  const frame = painting.frames[index];
  if (frame === undefined) return null;
  const fraction = fractionOf(frame);
  const title = titleFor(painting);
  const tiny = isTiny({ width: painting.request.width ?? 512, height: painting.request.height ?? 512 });
  return (
    <li class="tile live" ref={hued(painting.hue)}>
      <div class="frame">
        {frame.preview === ''
          ? <span class="blank">{stateOf(painting, frame)}</span>
          : <img src={frame.preview} alt="" class={tiny ? 'tiny' : ''} />}
        <span class="bar" role="progressbar" aria-label={`Painting ${title}`} aria-valuemin={0} aria-valuemax={100}
          aria-valuenow={Math.round(fraction * 100)}>
          <i ref={(element) => element?.style.setProperty('transform', `scaleX(${fraction})`)} />
        </span>
        <button type="button" class="button icon compact stop" aria-label={`Cancel ${title}`} title="Cancel"
          onClick={() => cancel(painting.id)}><Icon name="close" size={16} /></button>
      </div>
      <div class="cap">
        <span class="dot" />
        <span class="title">{title}</span>
        <span class="meta numbers">{metaOf(painting, frame)}</span>
      </div>
    </li>
  );
}

function metaOf(painting: Painting, frame: Frame): string {
  if (frame.preview === '') return '';
  const left = frame.etaMs !== undefined && frame.etaMs >= 1000 && painting.status === 'painting' ? `, ${spoken(frame.etaMs)}` : '';
  return stateOf(painting, frame) + left;
}

export function FailedTile({ painting }: { painting: Painting }) {
  return (
    <li class="tile failed">
      <div class="frame">
        <Icon name="alert" size={22} />
        <p>{kindly(painting.refusal ?? {})}</p>
        <div class="row">
          <button type="button" class="button compact" onClick={() => retry(painting.id)}>Try again</button>
          <button type="button" class="button quiet compact" onClick={() => dismiss(painting.id)}>Dismiss</button>
        </div>
      </div>
      <div class="cap"><span class="title">{titleFor(painting)}</span></div>
    </li>
  );
}
