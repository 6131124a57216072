// The seed: drawn anew for each request, or kept.
import { described, Field } from '../parts/field';
import { Icon } from '../parts/icon';
import { numberIn } from '../parts/number_field';
import { lastSeed } from '../paintings/paintings';
import { change, lockSeed, settings } from '../settings/form';

export function SeedField() {
  const { seed, seedLocked } = settings.value;
  const last = lastSeed.value === undefined ? 'New each time' : `New each time, last ${lastSeed.value}`;
  return (
    <Field id="seed" label="Seed">
      <div class="seed-pair">
        <input class="input" type="number" inputMode="numeric" step="any" placeholder={last}
          value={seedLocked ? (seed ?? '') : ''} {...described('seed')}
          onInput={(event) => {
            const typed = numberIn(event.currentTarget.value);
            change({ seed: typed, seedLocked: typed !== undefined });
          }} />
        <button type="button" class="button icon" aria-pressed={seedLocked} aria-label="Keep the seed"
          title={seedLocked ? 'The same seed each time' : 'Another seed each time'} onClick={() => lockSeed(!seedLocked)}>
          <Icon name={seedLocked ? 'lock' : 'unlock'} />
        </button>
      </div>
    </Field>
  );
}
