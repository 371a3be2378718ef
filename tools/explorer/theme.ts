// Dark or light: as the system says, until the user chooses.

import { effect, signal } from '@preact/signals';

const KEY = 'pagewalk-theme';
const query = window.matchMedia('(prefers-color-scheme: dark)');

function kept(): boolean | undefined {
  try {
    const text = window.localStorage.getItem(KEY);
    return text === null ? undefined : text === 'dark';
  } catch {
    return undefined; // storage is refused: the system's choice holds
  }
}

export const dark = signal(kept() ?? query.matches);

query.addEventListener('change', (e) => {
  if (kept() === undefined) dark.value = e.matches;
});

effect(() => {
  document.documentElement.dataset['theme'] = dark.value ? 'dark' : 'light';
});

export function toggleTheme(): void {
  dark.value = !dark.value;
  try {
    window.localStorage.setItem(KEY, dark.value ? 'dark' : 'light');
  } catch {
    return;
  }
}
