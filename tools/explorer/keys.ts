// The keyboard: everything that a pointer can do, and the list of keys that help shows.

import { dialogue, explained, move, pid, show, status, VIEW_NAMES } from './model.ts';
import { play } from './play.ts';
import { toggleTheme } from './theme.ts';

export const KEYS: readonly { readonly keys: string; readonly what: string }[] = [
  { keys: '1 … 9, 0', what: 'the views' },
  { keys: '.  ,', what: 'one step, one step back' },
  { keys: '>  <', what: 'ten steps, ten steps back' },
  { keys: ']  [', what: 'within a step: to the next detail (an entry read, a list move), back' },
  { keys: 'f', what: 'to the next page fault' },
  { keys: 'b', what: 'to the next event that is waited for (view Events)' },
  { keys: 'Home  End', what: 'to the start, to the end' },
  { keys: 'Space', what: 'play, stop' },
  { keys: 'p', what: 'the next process' },
  { keys: 'g', what: 'go to an address' },
  { keys: 'c', what: 'to the chain: Tab and Enter follow its links' },
  { keys: 'm', what: 'to the view itself: in the map arrows move, + − zoom, 0 shows all' },
  { keys: 'o', what: 'open' },
  { keys: 't', what: 'dark or light' },
  { keys: '?', what: 'this help; Escape closes' },
];

/** Is the user typing, or is a control of its own at work? */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

export function onKey(e: KeyboardEvent, wait: () => void): void {
  if (e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target)) return;
  if (e.key === 'Escape') {
    explained.value = '';
    return;
  }
  if (dialogue.value !== '') return;
  const isButton = e.target instanceof HTMLButtonElement;
  const act = actionOf(e.key, wait);
  if (act === undefined || (e.key === ' ' && isButton)) return;
  e.preventDefault();
  act();
}

function actionOf(key: string, wait: () => void): (() => void) | undefined {
  const view = VIEW_NAMES[key === '0' ? 9 : Number(key) - 1];
  if (/^\d$/.test(key) && view !== undefined) return () => show(view);
  const actions: Readonly<Record<string, () => void>> = {
    '.': () => void move({ by: 1 }),
    ',': () => void move({ by: -1 }),
    '>': () => void move({ by: 10 }),
    '<': () => void move({ by: -10 }),
    ']': () => void move({ details: 1 }),
    '[': () => void move({ details: -1 }),
    f: () => void move('fault'),
    b: wait,
    Home: () => void move({ to: 0 }),
    End: () => void move('end'),
    ' ': play,
    p: nextProcess,
    g: () => document.getElementById('address')?.focus(),
    c: () => focusFirst('.chain .links button'),
    m: () => focusFirst('.main [tabindex="0"], .main button:not(.term-mark)'),
    o: () => (dialogue.value = 'open'),
    t: toggleTheme,
    '?': () => (dialogue.value = 'help'),
  };
  return actions[key];
}

function focusFirst(selector: string): void {
  document.querySelector<HTMLElement>(selector)?.focus();
}

function nextProcess(): void {
  const all = status.value?.processes ?? [];
  const at = all.findIndex((p) => p.pid === pid.value);
  const next = all[(at + 1) % Math.max(1, all.length)];
  if (next !== undefined) pid.value = next.pid;
}
