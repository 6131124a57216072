// Which model paints.
import { models } from '../api/server';
import { described, Field } from '../parts/field';
import { chooseModel, model } from '../settings/form';

export function ModelField() {
  const chosen = model.value;
  return (
    <Field id="model" label="Model" hint={chosen?.description || undefined}>
      <select class="select" value={chosen?.id ?? ''} onChange={(event) => chooseModel(event.currentTarget.value)}
        {...described('model', chosen?.description || undefined)}>
        {chosen === undefined && <option value="">Not known yet</option>}
        {models.value.map(({ id, displayName }) => <option key={id} value={id}>{displayName || id}</option>)}
      </select>
    </Field>
  );
}
