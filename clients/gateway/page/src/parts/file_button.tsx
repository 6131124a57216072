// A button that picks a picture file.
import { useRef } from 'preact/hooks';

import { pictureIn } from '../canvas/arrivals';

export function FileButton({ label, onPick }: { label: string; onPick: (file: File) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="button" onClick={() => input.current?.click()}>{label}</button>
      <input ref={input} class="visually-hidden" type="file" accept="image/png,image/jpeg,image/webp" tabIndex={-1}
        aria-label={label} onChange={(event) => {
          const file = pictureIn(event.currentTarget.files);
          if (file !== undefined) onPick(file);
          event.currentTarget.value = '';  // the same file again is a choice, too
        }} />
    </>
  );
}
