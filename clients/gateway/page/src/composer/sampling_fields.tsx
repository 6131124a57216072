// How the picture is made out of noise.
import { samplerName, scheduleName } from '../api/units';
import type { Model } from '../api/wire';
import { described, Field } from '../parts/field';
import { NumberField } from '../parts/number_field';
import { change, settings } from '../settings/form';
import { classOf, samplerOf, takesGuidance, takesText } from '../settings/model_choices';

/** The slider goes where people usually go; the field beside it takes any number. */
function usualSteps(model: Model): number {
  return Math.min(model.limits?.maxSteps ?? 150, Math.max(50, (model.defaults?.steps ?? 20) * 3));
}

export function StepsField({ model }: { model: Model }) {
  return (
    <NumberField id="steps" label="Steps" value={settings.value.steps} fallback={model.defaults?.steps ?? 20} min={1}
      max={usualSteps(model)} onChange={(steps) => change({ steps })} />
  );
}

export function GuidanceField({ model }: { model: Model }) {
  const guided = takesGuidance(model) && (takesText(model) || classOf(model, settings.value) !== undefined);
  if (!guided) return null;
  return (
    <NumberField id="guidance" label="Guidance" value={settings.value.guidance} fallback={model.defaults?.guidanceScale ?? 1}
      min={0} max={15} step={0.5} onChange={(guidance) => change({ guidance })} />
  );
}

export function SamplerFields({ model }: { model: Model }) {
  const support = samplerOf(model, settings.value);
  const schedules = support?.sigmaSchedules ?? [];
  const own = model.defaults?.sampler ?? '';
  return (
    <div class="pair">
      <Field id="sampler" label="Sampler">
        <select class="select" value={support?.sampler ?? ''} {...described('sampler')} onChange={(event) => {
          const sampler = event.currentTarget.value;
          change({ sampler: sampler === own ? '' : sampler, schedule: '' });
        }}>
          {(model.samplers ?? []).map(({ sampler }) => (
            <option key={sampler} value={sampler}>{samplerName(sampler)}</option>
          ))}
        </select>
      </Field>
      <Field id="schedule" label="Schedule">
        <select class="select" value={schedules.includes(settings.value.schedule) ? settings.value.schedule : ''}
          disabled={schedules.length < 2} {...described('schedule')}
          onChange={(event) => change({ schedule: event.currentTarget.value })}>
          <option value="">The model’s</option>
          {schedules.map((schedule) => <option key={schedule} value={schedule}>{scheduleName(schedule)}</option>)}
        </select>
      </Field>
    </div>
  );
}
