// The top of the page: whose it is, whether the server is there, and the theme.
import { info, presence } from './api/server';
import { Icon, Mark } from './parts/icon';
import { nextTheme, theme } from './parts/theme';

const WORDS = {
  connecting: 'Looks for the server', serving: 'Ready', loading: 'Loads its models', draining: 'About to restart',
  away: 'Server away', locked: 'Asks who you are',
};

const THEMES = {
  system: { icon: 'auto', label: 'Colours as the system: switch to light' },
  light: { icon: 'sun', label: 'Light: switch to dark' },
  dark: { icon: 'moon', label: 'Dark: switch to the system’s' },
} as const;

export function Header() {
  const { icon, label } = THEMES[theme.value];
  return (
    <header class="header">
      <h1 class="brand"><Mark />Stepcast</h1>
      <span class="tagline">Paints by the step: everybody’s pictures share the denoiser</span>
      <span class="space" />
      <span class={`presence ${presence.value}`} role="status">
        <span class="lamp" />{WORDS[presence.value]}
        {info.value.version !== undefined && presence.value === 'serving' && <span class="version numbers">{info.value.version}</span>}
      </span>
      <button type="button" class="button quiet icon" aria-label={label} title={label} onClick={nextTheme}><Icon name={icon} /></button>
    </header>
  );
}

const KIND = {
  away: 'The server is not there. Nothing is lost: what was being painted will be painted when it is back, and you can go on asking.',
  draining: 'The server finishes what it has and restarts. What you ask of it meanwhile is painted when it is back.',
  loading: 'The server is loading its models. What you ask of it meanwhile is painted when it is ready.',
  locked: 'The gateway wants to know who you are before it paints. Reload the page to sign in.',
};

/** Says kindly what is amiss. Read aloud by the status above. */
export function Banner() {
  const state = presence.value;
  if (state === 'serving' || state === 'connecting') return null;
  return <div class="banner" id="outage"><Icon name="alert" /><p>{KIND[state]}</p></div>;
}
