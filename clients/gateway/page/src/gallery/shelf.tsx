// What is painted and what was: one grid, in which a picture keeps its place from its first preview on.
import type { VNode } from 'preact';

import { type Place, newestFirst } from './bounds';
import { forget, keptNowhere, pictures, type Shown } from './gallery';
import { FailedTile, FinishedTile, LiveTile } from './tiles';
import { viewedId } from './viewing';
import { Icon } from '../parts/icon';
import { isLive, type Painting } from '../paintings/painting';
import { paintings } from '../paintings/paintings';
import { change, model, paintNow } from '../settings/form';
import { takesText } from '../settings/model_choices';

type Item = Place & { key: string } & ({ kind: 'picture'; picture: Shown } | { kind: 'frame' | 'failed'; from: Painting });

function itemsOf(live: Painting[], finished: Shown[]): Item[] {
  const frames = live.flatMap((from): Item[] => {
    const at = { painting: from.id, startedAt: from.startedAt };
    if (!isLive(from)) return [{ ...at, index: 0, key: `${from.id}:failed`, kind: 'failed', from }];
    return from.frames
      .map((frame, index): Item & { finished: boolean } =>
        ({ ...at, index, key: `${from.id}:${index}`, kind: 'frame', from, finished: frame.finished }))
      .filter((item) => !item.finished);
  });
  const done = finished.map((picture): Item => ({ ...picture, key: picture.id, kind: 'picture', picture }));
  return [...frames, ...done].sort(newestFirst);
}

/** Of finished pictures, which do not change while others are painted: what is the same is not looked at again. */
const tiles = new WeakMap<Shown, VNode>();

function tileOf(item: Item): VNode {
  if (item.kind !== 'picture') {
    if (item.kind === 'failed') return <FailedTile key={item.key} painting={item.from} />;
    return <LiveTile key={item.key} painting={item.from} index={item.index} />;
  }
  const { picture } = item;
  const tile = tiles.get(picture) ?? <FinishedTile key={item.key} picture={picture} onOpen={() => (viewedId.value = picture.id)} />;
  tiles.set(picture, tile);
  return tile;
}

export function Shelf() {
  const items = itemsOf(paintings.value, pictures.value);
  const count = pictures.value.length;
  return (
    <section class="shelf" aria-labelledby="shelf-title">
      <div class="shelf-top">
        <h2 id="shelf-title">Pictures</h2>
        {count > 0 && <span class="soft small numbers">{count}, in this browser alone</span>}
        <span class="space" />
        {count > 0 && <ClearButton count={count} />}
      </div>
      {keptNowhere.value !== '' && <p class="banner"><Icon name="alert" />{keptNowhere.value}</p>}
      {items.length === 0 ? <Empty /> : <ul class="grid">{items.map(tileOf)}</ul>}
    </section>
  );
}

function ClearButton({ count }: { count: number }) {
  return (
    <button type="button" class="button quiet compact" onClick={() => {
      const question = `Delete ${count === 1 ? 'the picture' : `all ${count} pictures`}? They are nowhere but in this browser.`;
      if (confirm(question)) forget(pictures.value.map(({ id }) => id));
    }}>Delete all</button>
  );
}

const IDEAS = ['a red apple', 'a rocket', 'panda', 'sunflower', 'a slice of pizza'];

function Empty() {
  const chosen = model.value;
  return (
    <div class="empty">
      <h3>Nothing painted yet</h3>
      <p>Pictures appear here while they are painted, step by step, and stay in this browser.</p>
      {chosen !== undefined && takesText(chosen) && (
        <div class="chips" aria-label="Ideas" role="group">
          {IDEAS.map((prompt) => (
            <button type="button" class="chip" key={prompt} onClick={() => {
              change({ prompt });
              void paintNow();
            }}>{prompt}</button>
          ))}
        </div>
      )}
    </div>
  );
}
