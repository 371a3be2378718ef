// The header: what is open, the way through time, and the page's own buttons.

import type { VNode } from 'preact';
import type { Status } from '../engine.ts';
import { count } from '../format.ts';
import { busy, dialogue, failure, move, playing, said, status } from '../model.ts';
import { play } from '../play.ts';
import { dark, toggleTheme } from '../theme.ts';

export function Header(): VNode {
  const s = status.value;
  return (
    <header class="head">
      <h1>pagewalk</h1>
      <button
        type="button"
        class="open-button"
        onClick={() => (dialogue.value = 'open')}
        title="Open something else (o)"
      >
        {s === undefined ? 'Open…' : s.name} <span class="faint">▾</span>
      </button>
      <div class="transport" role="group" aria-label="Time">
        <Step
          label="To the start"
          sign="M3 3v10M13 3 6 8l7 5z"
          keys="Home"
          act={() => void move({ to: 0 })}
        />
        <Step
          label="Back one step"
          sign="M12 3 5 8l7 5z"
          keys=","
          act={() => void move({ by: -1 })}
        />
        <button
          type="button"
          class="wide"
          aria-pressed={playing.value}
          title="Play or stop (space)"
          onClick={play}
        >
          {playing.value ? 'Stop' : 'Play'}
        </button>
        <Step label="One step" sign="M4 3l7 5-7 5z" keys="." act={() => void move({ by: 1 })} />
        <Step
          label="Into the step: one detail"
          sign="M8 2v8M4.5 7 8 11l3.5-4M3 13.5h10"
          keys="]"
          act={() => void move({ details: 1 })}
        />
        <Step
          label="To the next page fault"
          sign="M2 3l6 5-6 5zM11 3v6M11 12v1"
          text="fault"
          keys="f"
          act={() => void move('fault')}
        />
        <Step
          label="To the end"
          sign="M3 3l7 5-7 5zM13 3v10"
          keys="End"
          act={() => void move('end')}
        />
      </div>
      <output class="where num" aria-label="Step" data-testid="position">
        {s === undefined ? '' : `${at(s)} / ${count(s.length)}`}
      </output>
      <span class={failure.value === '' ? 'say soft' : 'say failure'} role="status">
        {failure.value !== '' ? failure.value : busy.value !== '' ? `${busy.value}…` : ''}
      </span>
      <span class="hidden" role="status">
        {said.value}
      </span>
      <button type="button" onClick={() => (dialogue.value = 'help')} title="Keys and help (?)">
        Help
      </button>
      <button type="button" onClick={toggleTheme} title="Dark or light (t)">
        {dark.value ? 'Light' : 'Dark'}
      </button>
    </header>
  );
}

/** The step, and how far into the next one. */
function at({ position, inside }: Status): string {
  return inside > 0 ? `${count(position)} + ${count(inside)}` : count(position);
}

function Step(props: {
  label: string;
  /** Path of its sign, in a square of 16. */
  sign: string;
  text?: string;
  keys: string;
  act: () => void;
}): VNode {
  const { label, sign, text, keys, act } = props;
  return (
    <button type="button" aria-label={label} title={`${label} (${keys})`} onClick={act}>
      <svg class="sign" viewBox="0 0 16 16" width="13" height="13" aria-hidden="true">
        <path d={sign} />
      </svg>
      {text !== undefined && <span class="sign-text">{text}</span>}
    </button>
  );
}
