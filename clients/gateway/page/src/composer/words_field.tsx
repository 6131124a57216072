// What to paint: words, a class, or nothing at all, as the model goes.
import type { Model } from '../api/wire';
import { described, Field, FieldError } from '../parts/field';
import { change, settings } from '../settings/form';
import { classOf, takesClass, takesText } from '../settings/model_choices';

/** More classes than this are a list, not chips. */
const MOST_CHIPS = 24;

export function WordsField({ model }: { model: Model }) {
  if (takesText(model)) return <Prompts model={model} />;
  if (takesClass(model)) return <ClassField model={model} />;
  return <p class="hint">This model paints by the seed alone.</p>;
}

function Prompts({ model }: { model: Model }) {
  const hint = model.defaults?.negativePrompt ? `Left empty: ${model.defaults.negativePrompt}` : undefined;
  return (
    <>
      <Field id="prompt" label="Prompt">
        <textarea class="area" rows={3} placeholder="What should it be?" value={settings.value.prompt} spellcheck
          onInput={(event) => change({ prompt: event.currentTarget.value })} {...described('prompt')} />
      </Field>
      <Field id="negativePrompt" label="Without" hint={hint}>
        <textarea class="area low" rows={1} placeholder="What should it not be?" value={settings.value.negativePrompt} spellcheck
          onInput={(event) => change({ negativePrompt: event.currentTarget.value })} {...described('negativePrompt', hint)} />
      </Field>
    </>
  );
}

function ClassField({ model }: { model: Model }) {
  const labels = model.classLabels ?? [];
  const chosen = classOf(model, settings.value);
  const options = [
    ...(model.hasNullClass ? [{ index: undefined, label: 'Any' }] : []),
    ...labels.map(({ index, label }) => ({ index: index ?? 0, label: label || String(index ?? 0) })),
  ];
  if (options.length > MOST_CHIPS) {
    return (
      <Field id="classIndex" label="Class">
        <select class="select" value={chosen ?? ''} {...described('classIndex')}
          onChange={(event) => change({ classIndex: event.currentTarget.value === '' ? undefined : Number(event.currentTarget.value) })}>
          {options.map(({ index, label }) => <option key={label} value={index ?? ''}>{label}</option>)}
        </select>
      </Field>
    );
  }
  return (
    <fieldset class="field" {...described('classIndex')}>
      <legend class="label">Class</legend>
      <div class="chips">
        {options.map(({ index, label }) => (
          <label class="chip" key={label}>
            <input type="radio" name="class" checked={index === chosen} onChange={() => change({ classIndex: index })} />
            {label}
          </label>
        ))}
      </div>
      <FieldError id="classIndex" />
    </fieldset>
  );
}
