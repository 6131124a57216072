// Line icons of 20 x 20, drawn for this page. They stand beside words or in labelled buttons, so they are hidden from
// screen readers.
const PATHS = {
  sun: 'M10 3v1.5M10 15.5V17M3 10h1.5M15.5 10H17M5.05 5.05l1.06 1.06M13.9 13.9l1.05 1.05M14.95 5.05 13.9 6.1M6.1 13.9l-1.05 1.05M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z',
  moon: 'M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5Z',
  auto: 'M10 3.5a6.5 6.5 0 1 0 0 13zM10 3.5a6.5 6.5 0 0 1 0 13',
  close: 'm5.5 5.5 9 9m0-9-9 9',
  lock: 'M6 9V7a4 4 0 0 1 8 0v2M5 9h10v7.5H5z',
  unlock: 'M6 9V7a4 4 0 0 1 7.7-1.5M5 9h10v7.5H5z',
  swap: 'M4 7.5h11m-3-3 3 3-3 3M16 12.5H5m3-3-3 3 3 3',
  undo: 'M7.5 5 4 8.5 7.5 12M4.5 8.5H12a4 4 0 0 1 0 8H9',
  redo: 'M12.5 5 16 8.5 12.5 12m3-3.5H8a4 4 0 0 0 0 8h3',
  trash: 'M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10M8.5 9v4.5M11.5 9v4.5',
  eraser: 'm8 16-4-4 7.5-7.5 5 5L10 16zm-2 0h10M7.5 8.5l5 5',
  brush: 'M16.5 3.5c-4 1.5-7 4.500-8.500 7.500l1 1c3-1.500 6-4.500 7.500-8.500ZM8 11.500c-2.500 0-3 1.500-3 3 0 1-.5 1.500-1.500 2 3 .500 6-.5 6-3z',
  code: 'm7 6-4 4 4 4m6-8 4 4-4 4',
  download: 'M10 3.500v9m-3.500-3.500 3.500 3.500 3.500-3.500M4 16.500h12',
  pause: 'M7 5v10M13 5v10',
  play: 'M6.500 4.500v11l9-5.500z',
  alert: 'M10 3.500 17.500 16.500h-15zM10 8.500v3.500m0 2v.3',
  image: 'M3.500 4.500h13v11h-13zM3.500 13l3.500-3.500 3 3 2.500-2.500 4 4M13 8.200v.1',
  chevron: 'm5.500 8 4.500 4.500L14.500 8',
  left: 'M12 5.500 7.500 10l4.500 4.500',
  right: 'M8 5.500 12.500 10 8 14.500',
  again: 'M15.500 8A6 6 0 1 0 16 11M16 4v4h-4',
  copy: 'M7 7h9v9H7zM13 7V4H4v9h3',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.6"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** Ticks as the scheduler makes them: the mark of the page. */
export function Mark() {
  return (
    <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true" class="mark-icon">
      <rect x="3" y="19" width="8" height="10" rx="2" fill="var(--hue-0)" />
      <rect x="12" y="19" width="8" height="10" rx="2" fill="var(--hue-0)" />
      <rect x="12" y="8" width="8" height="10" rx="2" fill="var(--hue-1)" />
      <rect x="21" y="8" width="8" height="10" rx="2" fill="var(--hue-1)" />
      <rect x="21" y="19" width="8" height="10" rx="2" fill="var(--hue-2)" />
    </svg>
  );
}
