// One picture, large, with all that is known of it and what can be done with it.
import { forget, type Shown } from './gallery';
import { isTiny } from './tiny';
import { viewedId, viewNext } from './viewing';
import { samplerName, scheduleName, spoken } from '../api/units';
import { beginWith } from '../canvas/arrivals';
import { inputs } from '../canvas/inputs';
import { announce } from '../parts/announcer';
import { Dialog } from '../parts/dialog';
import { Icon } from '../parts/icon';
import { model, settings } from '../settings/form';
import { settingsOf } from '../settings/request';
import { copying } from '../snippets/copying';

/** What does not fit the dialog's title is written out. */
const LONG = 56;

function close(): void {
  viewedId.value = '';
}

function takeSettings(picture: Shown): void {
  settings.value = settingsOf(picture.request, settings.value, picture.seed);
  inputs.value = picture.inputs;
  announce('The form holds the settings of this picture.');
  close();
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.key === 'ArrowLeft') viewNext(-1);
  else if (event.key === 'ArrowRight') viewNext(1);
}

export function Viewer({ picture }: { picture: Shown }) {
  const aside = (
    <>
      <button type="button" class="button quiet icon compact" aria-label="Newer picture" onClick={() => viewNext(-1)}><Icon name="left" /></button>
      <button type="button" class="button quiet icon compact" aria-label="Older picture" onClick={() => viewNext(1)}><Icon name="right" /></button>
    </>
  );
  return (
    <Dialog title={picture.title} aside={aside} onClose={close} onKeyDown={onKeyDown}>
      <div class="viewer">
        <div class="canvas"><img src={picture.url} alt={picture.title} class={isTiny(picture) ? 'tiny' : ''} /></div>
        <div class="side">
          {picture.title.length > LONG && <p class="words">{picture.title}</p>}
          <Facts picture={picture} />
          {picture.warnings.map((warning) => <p class="hint" key={warning}>{warning}</p>)}
          <Actions picture={picture} />
        </div>
      </div>
    </Dialog>
  );
}

function factsOf({ request, share, ...picture }: Shown): [string, string][] {
  const facts: [string, string | undefined][] = [
    ['Without', request.negativePrompt],
    ['Model', picture.modelName],
    ['Sampler', request.sampler === undefined ? undefined : samplerName(request.sampler)],
    ['Schedule', request.sigmaSchedule === undefined ? undefined : scheduleName(request.sigmaSchedule)],
    ['Steps', request.steps?.toString()],
    ['Guidance', request.guidanceScale?.toString()],
    ['Size', `${picture.width} × ${picture.height}`],
    ['Seed', String(picture.seed)],
    ['Begun with', request.strength === undefined ? undefined : `a picture, of which ${Math.round(request.strength * 100)} % may change`],
    ['Follows', request.control?.map(({ model: net, scale }) => `${net ?? 'a sketch'} × ${scale ?? 1}`).join(', ')],
    ['LoRA', request.loras?.map(({ name, scale }) => `${name} × ${scale ?? 1}`).join(', ')],
    ['Painted in', share?.totalMs === undefined ? undefined : spoken(share.totalMs)],
    ['Shared', share === undefined || share.meanRows === 0 ? undefined : `ticks of ${share.meanRows.toFixed(1)} rows on average`],
    ['When', new Date(picture.startedAt).toLocaleString()],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== '');
}

function Facts({ picture }: { picture: Shown }) {
  return (
    <dl class="facts">
      {factsOf(picture).map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name}-value`}>{value}</dd>])}
    </dl>
  );
}

function fileName({ title, seed, mime }: Shown): string {
  const words = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 40);
  return `${words || 'picture'}-${seed}.${mime.split('/')[1] ?? 'png'}`;
}

function Actions({ picture }: { picture: Shown }) {
  return (
    <div class="actions">
      <button type="button" class="button primary wide" onClick={() => takeSettings(picture)}>Use these settings</button>
      {model.value?.encodesPictures === true && (
        <button type="button" class="button" onClick={() => {
          beginWith(picture.picture);
          close();
        }}><Icon name="image" size={16} /> Begin with it</button>
      )}
      <button type="button" class="button" onClick={() => {
        close();
        copying.value = { from: 'picture', picture };
      }}><Icon name="code" size={16} /> Copy as code</button>
      <a class="button" href={picture.url} download={fileName(picture)}><Icon name="download" size={16} /> Download</a>
      <button type="button" class="button danger" onClick={() => {
        close();
        forget([picture.id]);
        announce('Deleted.');
      }}><Icon name="trash" size={16} /> Delete</button>
    </div>
  );
}
