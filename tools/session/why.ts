// Causes: "why did this access fault", "why is RSS this high", "why is this frame not free".
//
// An answer is a sentence and the chain of what led there, each link with the step in which it
// happened and with what it is about, so that a reader can go there. Plain data: the prompt prints
// it, a page draws it. The past is found by running the session's source once more, watched.

import { hex, PAGE_SIZE } from '../../kernel/types.ts';
import type { Session } from './session.ts';

/** What a link is about. */
export type CauseSubject =
  | { readonly kind: 'address'; readonly pid: number; readonly va: number }
  | { readonly kind: 'frame'; readonly pfn: number };

export interface Cause {
  /** Step (from 0) in which it happened; undefined for what is so now. */
  readonly step: number | undefined;
  /** What that step does, as the source says it. */
  readonly label: string;
  readonly text: string;
  readonly about?: CauseSubject;
}

export interface Why {
  readonly question: string;
  readonly answer: string;
  /** Oldest first; what is so now comes last. */
  readonly causes: readonly Cause[];
}

/** Makes the links of one session's chain. */
export class Chain {
  readonly causes: Cause[] = [];
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Something that happened in a step. */
  then(step: number, text: string, about?: CauseSubject): void {
    this.add(step, this.session.label(step), text, about);
  }

  /** Something that is so now. */
  now(text: string, about?: CauseSubject): void {
    this.add(undefined, '', text, about);
  }

  private add(step: number | undefined, label: string, text: string, about?: CauseSubject): void {
    const cause = { step, label, text };
    this.causes.push(about === undefined ? cause : { ...cause, about });
  }
}

/** Links shown at most: a longer chain keeps its first and its last ones. */
const SHOWN = 24;

/** An answer as text for people. */
export function whyText(why: Why): string[] {
  const lines = [why.question, `  ${why.answer}`];
  let last: number | undefined = NaN;
  const { causes } = why;
  causes.forEach((cause, i) => {
    if (causes.length > SHOWN && i >= SHOWN / 2 && i < causes.length - SHOWN / 2) {
      if (i === SHOWN / 2) lines.push(`    … ${causes.length - SHOWN} more`);
      return;
    }
    if (cause.step !== last) {
      const { step } = cause;
      const at = step === undefined ? 'now' : step < 0 ? 'at the start' : `step ${step + 1}`;
      lines.push(`  ${at}${cause.label === '' ? '' : `  ${short(cause.label)}`}`);
      last = cause.step;
    }
    lines.push(`    ${cause.text}`);
  });
  return lines;
}

function short(label: string): string {
  return label.length > 70 ? `${label.slice(0, 69)}…` : label;
}

/** `frame 0x123`. */
export function frameText(pfn: number): string {
  return `frame ${hex(pfn)}`;
}

/** Pages as `12 pages (48 KiB)`. */
export function pagesText(pages: number): string {
  const kib = (pages * PAGE_SIZE) / 1024;
  const size = kib >= 10240 ? `${(kib / 1024).toFixed(1)} MiB` : `${kib} KiB`;
  return `${pages} ${pages === 1 ? 'page' : 'pages'} (${size})`;
}
