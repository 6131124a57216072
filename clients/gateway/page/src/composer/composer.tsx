// The form: what to paint, and how.
import { LoraSection } from './lora_field';
import { ModelField } from './model_field';
import { GuidanceField, SamplerFields, StepsField } from './sampling_fields';
import { SeedField } from './seed_field';
import { CountField, SizeField } from './size_field';
import { SketchSection } from './sketch_section';
import { StartSection } from './start_section';
import { WordsField } from './words_field';
import { Icon } from '../parts/icon';
import { Section } from '../parts/section';
import { isLive } from '../paintings/painting';
import { cancelAll, paintings } from '../paintings/paintings';
import { model, otherErrors, paintNow, reset } from '../settings/form';
import { copying } from '../snippets/copying';

export function Composer() {
  const chosen = model.value;
  return (
    <form class="card composer" aria-label="What to paint" noValidate onSubmit={(event) => {
      event.preventDefault();
      void paintNow();
    }}>
      <div class="fields">
        <ModelField />
        {chosen !== undefined && (
          <>
            <WordsField model={chosen} />
            <CountField />
            <StepsField model={chosen} />
            <GuidanceField model={chosen} />
            <SamplerFields model={chosen} />
            <SeedField />
            <Section title="Size"><SizeField model={chosen} /></Section>
            <StartSection model={chosen} />
            <SketchSection model={chosen} />
            <LoraSection model={chosen} />
          </>
        )}
        {otherErrors.value.map((error) => <p class="error" key={error}>{error}</p>)}
        <div class="row apart">
          <button type="button" class="button quiet compact" onClick={reset}>Start over</button>
          <button type="button" class="button quiet compact" onClick={() => (copying.value = { from: 'form' })}>
            <Icon name="code" size={16} /> Copy as code
          </button>
        </div>
      </div>
      <PaintBar />
    </form>
  );
}

function PaintBar() {
  const live = paintings.value.some(isLive);
  return (
    <div class="paint-bar">
      <button type="submit" class="button primary" disabled={model.value === undefined}>
        Paint <span class="keys" aria-hidden="true">Ctrl ↵</span>
      </button>
      <button type="button" class="button icon" aria-label="Cancel everything" title="Cancel everything (Esc)" disabled={!live}
        onClick={cancelAll}><Icon name="close" /></button>
    </div>
  );
}
