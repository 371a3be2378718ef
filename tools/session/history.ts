// The past of an address and of a frame: the session's source runs once more, and what changes is
// written down with its step.

import {
  mm_fault_anon,
  mm_fault_copy,
  mm_fault_reuse,
  mm_fault_zero,
  mm_filemap_add_to_page_cache,
  mm_filemap_delete_from_page_cache,
  mm_filemap_map_pages,
  mm_page_alloc,
  mm_page_free,
  page_fault_kernel,
  page_fault_user,
} from '../../kernel/trace.ts';
import { hex, pageDown } from '../../kernel/types.ts';
import { Inode } from '../../userspace/file.ts';
import type { Mm } from '../../userspace/mm.ts';
import type { System } from '../../userspace/system.ts';
import { accessText, faultCause, mmOfProcess, pageState, type PageState } from './page-state.ts';
import type { Session } from './session.ts';
import { type Chain, frameText } from './why.ts';

/** The last fault that a history met at its address. */
export interface SeenFault {
  readonly step: number;
  readonly errorCode: number;
  readonly cause: string;
}

/** Points at which a fault says what it did with an address. */
const RESOLVED: Readonly<Record<number, (b: number, c: number) => string>> = {
  [mm_fault_anon]: (pfn, order) =>
    `${frameText(pfn)} is given to it, zeroed${order > 0 ? ` (a huge page of 2^${order})` : ''}`,
  [mm_fault_zero]: () => 'the page of zeros is mapped, read-only',
  [mm_fault_copy]: (from, to) =>
    `copied ${from >= 0 ? `from ${frameText(from)} ` : ''}to ${frameText(to)}`,
  [mm_fault_reuse]: (pfn) => `${frameText(pfn)} is made writable: no copy was needed`,
};

/**
 * Writes down what happened at an address, up to the session's position: mappings that came and
 * went, faults with their causes, entries that changed.
 * @returns the last fault there; undefined where there was none
 */
export function addressHistory(
  session: Session,
  pid: number,
  address: number,
  chain: Chain,
): SeenFault | undefined {
  const va = pageDown(address);
  const about = { kind: 'address', pid, va: address } as const;
  const tgid = session.system.tasks.get(pid)?.tgid ?? pid;
  const mmIn = (system: System): Mm | undefined => mmOfProcess(system, pid, tgid);
  let before: PageState | undefined;
  let fault: SeenFault | undefined;
  let inFault = false;
  const compare = (system: System, step: number): void => {
    const mm = mmIn(system);
    const now = mm === undefined ? undefined : pageState(mm, va);
    for (const text of changes(before, now)) chain.then(step, text, about);
    before = now;
  };
  session.watchAgain({
    event: (system, step, point, [a, b, c]) => {
      if (point === page_fault_user || point === page_fault_kernel) {
        const mm = mmIn(system);
        inFault = pageDown(a) === va && mm !== undefined && system.current?.mm === mm;
        if (!inFault || mm === undefined) return;
        compare(system, step);
        const cause = faultCause(mm, a, b, pageState(mm, va));
        fault = { step, errorCode: b, cause };
        chain.then(step, `fault at ${hex(a)}, ${accessText(b)}: ${cause}`, about);
        return;
      }
      if (!inFault) {
        if (point === mm_fault_copy && b >= 0 && b === before?.pfn && before.kind === 'present') {
          const who = system.current?.pid ?? 0;
          chain.then(step, `process ${who} writes at ${hex(a)}: it gets a copy, ${frameText(c)}`);
        }
        return;
      }
      const text = RESOLVED[point]?.(b, c);
      if (text !== undefined) chain.then(step, text, about);
      else if (point === mm_filemap_map_pages) {
        chain.then(
          step,
          `pages ${b} to ${c} of the file are mapped around it, where cached`,
          about,
        );
      }
    },
    stepped: (system, step) => {
      inFault = false;
      compare(system, step);
    },
  });
  return fault;
}

/** What differs between two states, in words. */
function changes(before: PageState | undefined, now: PageState | undefined): string[] {
  const out: string[] = [];
  const was = before?.mapping ?? '';
  const is = now?.mapping ?? '';
  if (was !== is) {
    if (is === '') out.push('the mapping there goes');
    else if (was === '') out.push(`mapped: ${is}${rangeText(now)}`);
    else out.push(`the mapping changes: ${was} becomes ${is}`);
  }
  const from = before?.kind ?? 'none';
  const to = now?.kind ?? 'none';
  if (to === 'present' && now !== undefined) {
    if (from !== 'present') out.push(`its entry maps ${frameText(now.pfn)}${bits(now)}`);
    else if (before?.pfn !== now.pfn) {
      out.push(`its entry maps another frame: ${frameText(now.pfn)}${bits(now)}`);
    } else if (before.writable !== now.writable) {
      out.push(`its entry becomes ${now.writable ? 'writable' : 'read-only'}`);
    } else if (now.dirty && !before.dirty) out.push('its entry turns dirty');
  } else if (from !== to) {
    if (to === 'none') out.push('its entry is cleared');
    else if (to === 'swapped') out.push(`its page is swapped out to slot ${now?.slot ?? 0}`);
    else if (to === 'guard') out.push('a guard marker is put there');
  }
  return out;
}

function rangeText(s: PageState | undefined): string {
  return s?.vma === undefined ? '' : `, ${hex(s.vma.start)}-${hex(s.vma.end)}`;
}

function bits(s: PageState): string {
  const size = s.size > 4096 ? ' in a page of 2 MiB' : '';
  return `, ${s.writable ? 'writable' : 'read-only'}${size}`;
}

/**
 * Writes down what became of a frame since it was last allocated (or freed), up to the session's
 * position. @returns the step of the last such event; undefined where none names the frame
 */
export function frameHistory(session: Session, pfn: number, chain: Chain): number | undefined {
  interface Note {
    readonly step: number;
    readonly text: string;
    readonly pid: number | undefined;
  }
  let notes: Note[] = [];
  session.watchAgain({
    event: (system, step, point, args) => {
      const text = frameEvent(system, point, args, pfn);
      if (text === undefined) return;
      if (point === mm_page_alloc) notes = notes.slice(-1);
      notes.push({ step, text, pid: system.current?.pid });
    },
    stepped: () => undefined,
  });
  for (const { step, text, pid } of notes) {
    const who = pid === undefined ? '' : ` (process ${pid} runs)`;
    chain.then(step, `${text}${who}`, { kind: 'frame', pfn });
  }
  return notes.at(-1)?.step;
}

/** What an event says of a frame; undefined where it is not about it. */
function frameEvent(
  system: System,
  point: number,
  [a, b, c]: readonly [number, number, number],
  pfn: number,
): string | undefined {
  const within = (first: number, order: number): boolean =>
    pfn >= first && pfn < first + 2 ** order;
  const block = (order: number): string => (order === 0 ? '' : `, in a block of 2^${order}`);
  switch (point) {
    case mm_page_alloc:
      return within(a, b) ? `allocated${block(b)}` : undefined;
    case mm_page_free:
      return within(a, b) ? `freed${block(b)}` : undefined;
    case mm_fault_anon:
      return within(b, c) ? `becomes anonymous memory at ${hex(a)}, by a fault` : undefined;
    case mm_fault_reuse:
      return b === pfn ? `made writable at ${hex(a)}` : undefined;
    case mm_fault_copy:
      if (c === pfn)
        return `becomes the copy, for ${hex(a)}, of ${b >= 0 ? frameText(b) : 'zeros'}`;
      return b === pfn ? `copied to ${frameText(c)} for a write at ${hex(a)}` : undefined;
    case mm_filemap_add_to_page_cache:
      return c === pfn ? `becomes page ${b} of ${pathOf(system, a)} in the page cache` : undefined;
    case mm_filemap_delete_from_page_cache:
      return c === pfn ? `leaves the page cache (page ${b} of ${pathOf(system, a)})` : undefined;
    default:
      return undefined;
  }
}

function pathOf(system: System, id: number): string {
  const owner = system.machine.rmap.owners.get(id);
  return owner instanceof Inode ? owner.path : 'a file';
}
