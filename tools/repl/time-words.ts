// Words that move the machine in time, and those that look along it.

import { InputError } from '../../kernel/errors.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import { TRACEPOINTS } from '../../kernel/trace.ts';
import { hex, pageDown } from '../../kernel/types.ts';
import type { System } from '../../userspace/system.ts';
import type { Detail } from '../session/probes.ts';
import type { Session } from '../session/session.ts';
import { pageState } from '../session/page-state.ts';
import { whyFault } from '../session/why-fault.ts';
import { whyFrame } from '../session/why-frame.ts';
import { whyPinned } from '../session/why-pinned.ts';
import { whyRss } from '../session/why-rss.ts';
import { whyText } from '../session/why.ts';
import {
  addressArg,
  countArg,
  eventText,
  hexArg,
  pointArg,
  type Prompt,
  type Stop,
  type Word,
} from './words.ts';

/** Where the machine stands, and what the last step did. */
function position({ session }: Prompt): string[] {
  const { position: at, length } = session;
  const of = length > 0 ? ` of ${length}` : '';
  if (at === 0)
    return [`at the start${of === '' ? '' : `,${of} steps`}`.replace(', of', ': nothing of')];
  const label = session.label(at - 1);
  const outcome = session.outcome(at - 1);
  const line = session.lineOf(at - 1);
  const where = line > 0 ? `line ${line}` : `step ${at}`;
  const came = outcome === '' ? '' : `  → ${outcome}`;
  return [`step ${at}${of}, ${where}: ${label}${came}`, ...(session.done ? ['the end'] : [])];
}

/** The events of one step, the first ones. */
function eventsOf({ session }: Prompt, step: number, most: number): string[] {
  return session.events.range(step, step + 1, most).map(eventText);
}

const step: Word = {
  name: 'step',
  usage: 'step [N]',
  what: 'runs the next step, or N steps, and tells what came of it',
  examples: ['step', 'step 10'],
  run: (prompt, [n]) => {
    const { session } = prompt;
    const wanted = session.position + countArg(n, 1);
    session.seek(wanted);
    return position(prompt);
  },
};

const back: Word = {
  name: 'back',
  usage: 'back [N]',
  what: 'undoes the last step, or N steps: the machine is as it was before them',
  examples: ['back', 'back 3'],
  run: (prompt, [n]) => {
    const { session } = prompt;
    session.seek(Math.max(0, session.position - countArg(n, 1)));
    return position(prompt);
  },
};

const inside: Word = {
  name: 'inside',
  usage: 'inside [N | back | gc | -l]',
  what:
    'goes into the next step, one detail (or N) on: an entry read, a list move; ' +
    "gc: to the next step of a collection of CPython's; -l lists them",
  examples: ['inside', 'inside 10', 'inside back', 'inside gc', 'inside -l'],
  completions: () => ['back', 'gc', '-l'],
  run: (prompt, [n]) => {
    const { session } = prompt;
    if (session.done) return ['the end: no step is left to go into'];
    if (n === '-l') {
      const found = session.details(session.position);
      if (found.length === 0) return ['nothing is seen to happen in the next step'];
      return found.map((d, i) => `${i < session.inside ? '  ' : '> '}${detailLine(i, d)}`);
    }
    const step = session.position;
    const wanted =
      n === 'gc' ? nextGcStep(session) : session.inside + (n === 'back' ? -1 : countArg(n, 1));
    if (wanted < 0 && n === 'gc') return ['no step of a collection is ahead within this step'];
    session.enter(Math.max(0, wanted));
    if (session.inside === 0) return position(prompt);
    const seen = session.details(step);
    const last = seen[session.inside - 1];
    return [
      `within step ${step + 1}: ${session.label(step)}`,
      ...(last === undefined ? [] : [detailLine(session.inside - 1, last, seen.length)]),
    ];
  },
};

/** Number of details up to the next step of a collection; -1 where there is none. */
function nextGcStep(session: Session): number {
  const seen = session.details(session.position);
  const at = seen.findIndex((d, i) => i >= session.inside && d.name.startsWith('gc_'));
  return at < 0 ? -1 : at + 1;
}

/** A detail on a line: its number, what it is, its figures. */
function detailLine(i: number, { name, args }: Detail, of?: number): string {
  const parts = Object.entries(args).map(([field, value]) => {
    const isFrame = ['pfn', 'table', 'address', 'from', 'to'].includes(field);
    return `${field}=${typeof value === 'number' && isFrame ? hex(value) : value}`;
  });
  const number = of === undefined ? String(i + 1).padStart(6) : `${i + 1} of ${of}`;
  return `${number}  ${name}(${parts.join(' ')})`;
}

const next: Word = {
  name: 'next',
  usage: 'next',
  what: 'runs until the next page fault, and tells why it happened',
  examples: ['next'],
  run: (prompt) => {
    if (!prompt.session.toNextFault()) return ['no page fault any more', ...position(prompt)];
    const why = whyFault(prompt.session);
    return [...position(prompt), `  ${why.question}`, `  ${why.answer}`];
  },
};

const goto: Word = {
  name: 'goto',
  usage: 'goto N | start | end',
  what: 'goes to the machine after N steps, forward or back',
  examples: ['goto 12', 'goto end'],
  completions: () => ['start', 'end'],
  run: (prompt, [where]) => {
    if (where === 'end') prompt.session.run();
    else prompt.session.seek(where === 'start' ? 0 : countArg(where, 0));
    return position(prompt);
  },
};

const list: Word = {
  name: 'list',
  usage: 'list [N]',
  what: 'the steps around this one, N before and after; > is the one that runs next',
  examples: ['list', 'list 20'],
  run: ({ session }, [n]) => {
    const around = countArg(n, 5);
    const out: string[] = [];
    const to = Math.min(session.length, session.position + around);
    for (let i = Math.max(0, session.position - around); i < to; i++) {
      const mark = i === session.position ? '>' : ' ';
      out.push(`${mark}${String(i + 1).padStart(6)}  ${session.label(i)}`);
    }
    return out.length > 0 ? out : ['what comes is known only when it has run'];
  },
};

const breakWord: Word = {
  name: 'break',
  usage: 'break [EVENT [FIELD=VALUE …] | dirty ADDRESS | frame PHYSICAL | delete]',
  what: 'where `continue` stops: at an event, when a page turns dirty, when a frame is freed',
  examples: [
    'break mm_fault_copy',
    'break mm_page_alloc order=9',
    'break dirty [heap]',
    'break frame 0x1000000',
  ],
  completions: () => ['dirty', 'frame', 'delete', ...TRACEPOINTS.map((t) => t.name)],
  run: (prompt, [what, ...rest]) => {
    const { stops } = prompt;
    if (what === 'delete') stops.length = 0;
    else if (what !== undefined) stops.push(stopOf(prompt, what, rest));
    return stops.length === 0 ? ['no break points'] : stops.map((s, i) => `${i + 1}  ${s.text}`);
  },
};

/** @throws InputError */
function stopOf(prompt: Prompt, what: string, rest: readonly string[]): Stop {
  if (what === 'dirty') {
    const va = pageDown(addressArg(prompt, rest[0]));
    const { pid } = prompt.process.task;
    return { text: `page ${hex(va)} of process ${pid} turns dirty`, dirty: { pid, va } };
  }
  if (what === 'frame') {
    const pfn = Math.floor(hexArg(rest[0], 'a physical address') / PAGE_SIZE);
    const point = { points: ['mm_page_free'], fields: { pfn } };
    return { text: `frame ${hex(pfn)} is freed`, point };
  }
  const name = pointArg(what);
  const known = TRACEPOINTS.find((t) => t.name === name)?.fields ?? [];
  const fields: Record<string, number> = {};
  for (const text of rest) {
    const [field = '', value = ''] = text.split('=');
    if (!known.includes(field)) {
      throw new InputError('', `${name} has the fields ${known.join(', ')}; found '${field}'`);
    }
    fields[field] = value.startsWith('0x') ? hexArg(value, 'a number') : countArg(value, 0);
  }
  return { text: [name, ...rest].join(' '), point: { points: [name], fields } };
}

const continueWord: Word = {
  name: 'continue',
  usage: 'continue',
  what: 'runs to the nearest break point, or to the end',
  examples: ['continue'],
  run: (prompt) => {
    const { session, stops } = prompt;
    const from = session.position;
    let nearest = Infinity;
    let hit: Stop | undefined;
    // Each stop is looked for from here; the nearest of them is where the machine goes.
    for (const stop of stops) {
      session.seek(from);
      if (reach(session, stop) && session.position < nearest) {
        nearest = session.position;
        hit = stop;
      }
    }
    session.seek(nearest);
    return [hit === undefined ? 'no break point was met' : `met: ${hit.text}`, ...position(prompt)];
  },
};

function reach(session: Prompt['session'], { point, dirty }: Stop): boolean {
  if (point !== undefined) return session.runUntil(point);
  if (dirty === undefined) return false;
  const isDirty = (system: System): boolean => {
    const mm = system.tasks.get(dirty.pid)?.mm;
    return mm !== undefined && pageState(mm, dirty.va).dirty;
  };
  let was = isDirty(session.system);
  return session.runUntilState((system) => {
    const turned = !was && isDirty(system);
    was = isDirty(system);
    return turned;
  });
}

const events: Word = {
  name: 'events',
  usage: 'events [N | -l]',
  what: 'the events of the last step, N at most; -l lists what can be traced',
  examples: ['events', 'events 100', 'events -l'],
  run: (prompt, [n]) => {
    if (n === '-l') return TRACEPOINTS.map((t) => `${t.name}(${t.fields.join(' ')})`);
    const { session } = prompt;
    if (session.position === 0) return ['nothing happened yet'];
    const found = eventsOf(prompt, session.position - 1, countArg(n, 40));
    return found.length > 0 ? found : ['the last step caused no event'];
  },
};

const why: Word = {
  name: 'why',
  usage: 'why fault [ADDRESS] | why rss | why frame PHYSICAL | why pinned ADDRESS',
  what: 'causes: of a fault (the last one), of RSS, of a frame in use; who pins a place',
  examples: ['why fault', 'why fault 0x7ffff7ff3000', 'why rss', 'why frame 0x3a40000'],
  completions: () => ['fault', 'rss', 'frame', 'pinned'],
  run: (prompt, [what, where]) => {
    const { session } = prompt;
    switch (what) {
      case 'fault':
        if (where === undefined) return whyText(whyFault(session));
        return whyText(whyFault(session, prompt.process.task.pid, addressArg(prompt, where)));
      case 'rss':
        return whyText(whyRss(session, prompt.process.task.pid));
      case 'frame':
        return whyText(
          whyFrame(session, Math.floor(hexArg(where, 'a physical address') / PAGE_SIZE)),
        );
      case 'pinned':
        return whyText(whyPinned(session, prompt.process.task.pid, addressArg(prompt, where)));
      default:
        throw new InputError(
          '',
          `why: expected fault, rss, frame or pinned, found '${what ?? ''}'`,
        );
    }
  },
};

const hash: Word = {
  name: 'hash',
  usage: 'hash',
  what: 'the hash of the whole machine: equal hashes, equal machines',
  examples: ['hash'],
  run: ({ session }) => [session.hash()],
};

export const TIME_WORDS: readonly Word[] = [
  step,
  back,
  inside,
  next,
  goto,
  list,
  breakWord,
  continueWord,
  events,
  why,
  hash,
];
