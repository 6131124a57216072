// LoRAs that go with the model.
import { adapters } from '../api/server';
import type { Adapter, Model } from '../api/wire';
import { FieldError } from '../parts/field';
import { Section } from '../parts/section';
import { change, settings } from '../settings/form';
import { adaptersOf } from '../settings/model_choices';

function withScale(name: string, scale: number | undefined): void {
  const others = settings.value.loras.filter((lora) => lora.name !== name);
  change({ loras: scale === undefined ? others : [...others, { name, scale }] });
}

export function LoraSection({ model }: { model: Model }) {
  const fitting = adaptersOf(model, adapters.value);
  if (fitting.length === 0) return null;
  const names = settings.value.loras.map(({ name }) => name);
  return (
    <Section title="LoRA" note={names.join(', ')} open={names.length > 0}>
      {fitting.map((adapter) => <LoraChoiceRow key={adapter.name} adapter={adapter} />)}
      <FieldError id="loras" />
    </Section>
  );
}

function LoraChoiceRow({ adapter }: { adapter: Adapter }) {
  const scale = settings.value.loras.find(({ name }) => name === adapter.name)?.scale;
  const id = `lora-${adapter.name}`;
  return (
    <div class="field">
      <label class="check">
        <input type="checkbox" checked={scale !== undefined}
          onChange={(event) => withScale(adapter.name, event.currentTarget.checked ? 1 : undefined)} />
        {adapter.displayName || adapter.name}
        {(adapter.rank ?? 0) > 0 && <span class="soft">rank {adapter.rank}</span>}
      </label>
      {scale !== undefined && (
        <div class="with-range">
          <input class="range" type="range" min={0} max={2} step={0.05} value={scale} aria-label={`Strength of ${adapter.name}`}
            onInput={(event) => withScale(adapter.name, event.currentTarget.valueAsNumber)} />
          <output class="numbers small" id={id}>{scale.toFixed(2)}</output>
        </div>
      )}
      {(adapter.triggerWords ?? []).length > 0 && <p class="hint">Say: {adapter.triggerWords?.join(', ')}</p>}
    </div>
  );
}
