// Why is a process's resident set this large: what is in it by mapping, and when it came.

import { InputError } from '../../kernel/errors.ts';
import { hex } from '../../kernel/types.ts';
import {
  mm_fault_anon,
  mm_fault_copy,
  mm_filemap_map_pages,
  page_fault_kernel,
  page_fault_user,
} from '../../kernel/trace.ts';
import type { Mm } from '../../userspace/mm.ts';
import { vmaName } from '../../userspace/proc.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from '../../userspace/rss.ts';
import { Smaps, smapsOf } from '../../userspace/smaps.ts';
import { permsOf } from '../../userspace/vma.ts';
import { mmOfProcess } from './page-state.ts';
import type { Session } from './session.ts';
import type { SessionProcess } from './source.ts';
import { Chain, pagesText, type Why } from './why.ts';

/** Mappings and kinds of steps that are named. */
const LARGEST = 8;

/** How the resident set changed in one step. */
interface Growth {
  readonly step: number;
  readonly pages: number;
  readonly by: string;
}

/** @throws InputError where no process has this pid */
export function whyRss(session: Session, pid?: number): Why {
  const process = processWith(session, pid);
  const { mm } = process.task;
  const chain = new Chain(session);
  const id = process.task.pid;
  const about = { kind: 'address', pid: id, va: mm.startStack } as const;
  const saved = session.kind === 'machine';
  const kinds = saved ? [] : byKind(session, growthOf(session, id, process.task.tgid));
  if (saved) chain.now('a saved machine: what led here is not known');
  const largest = [...kinds].sort((a, b) => Math.abs(b.pages) - Math.abs(a.pages));
  for (const kind of largest.slice(0, LARGEST).sort((a, b) => a.first.step - b.first.step)) {
    const { first, steps, pages } = kind;
    const more = steps === 1 ? '' : `; with the ${steps - 1} steps like it ${signed(pages)}`;
    chain.then(first.step, `${signed(first.pages)}${first.by}${more}`, about);
  }
  const rest = largest.slice(LARGEST).reduce((sum, kind) => sum + kind.pages, 0);
  if (rest !== 0) chain.now(`steps of other kinds: ${signed(rest)}`);
  byMapping(mm, id, chain);
  const rss = (kind: number): number => mm.rss[kind] ?? 0;
  const parts = [
    `${rss(MM_ANONPAGES)} anonymous`,
    `${rss(MM_FILEPAGES)} of files`,
    `${rss(MM_SHMEMPAGES)} of shared memory`,
  ];
  const swapped = rss(MM_SWAPENTS) === 0 ? '' : ` ${rss(MM_SWAPENTS)} more are swapped out.`;
  return {
    question: `Why is the resident set of process ${id} (${process.name}) this large?`,
    answer:
      `It has ${pagesText(mm.rssPages)}: ${parts.join(', ')}; ` +
      `${Math.max(mm.hiwaterRss, mm.rssPages)} at the most.${swapped}`,
    causes: chain.causes,
  };
}

function processWith(session: Session, pid: number | undefined): SessionProcess {
  const { processes } = session;
  const found = pid === undefined ? processes[0] : processes.find((p) => p.task.pid === pid);
  if (found !== undefined) return found;
  const alive = processes.map((p) => p.task.pid).join(', ');
  const there = alive === '' ? 'no process lives here' : `these live here: ${alive}`;
  throw new InputError(session.name, pid === undefined ? there : `no process ${pid}; ${there}`);
}

/** Every step in which the resident set changed. */
function growthOf(session: Session, pid: number, tgid: number): Growth[] {
  const out: Growth[] = [];
  let before = 0;
  let faults = 0;
  let filled = 0;
  let copied = 0;
  let around = 0;
  session.watchAgain({
    event: (system, _step, point) => {
      if (system.current?.mm !== mmOfProcess(system, pid, tgid)) return;
      if (point === page_fault_user || point === page_fault_kernel) faults++;
      else if (point === mm_fault_anon) filled++;
      else if (point === mm_fault_copy) copied++;
      else if (point === mm_filemap_map_pages) around++;
    },
    stepped: (system, step) => {
      const now = mmOfProcess(system, pid, tgid)?.rssPages ?? 0;
      if (now !== before) {
        const by = byText(faults, { 'of zeros': filled, copied, 'mapped around': around });
        out.push({ step, pages: now - before, by });
      }
      before = now;
      faults = filled = copied = around = 0;
    },
  });
  return out;
}

/** Steps that do the same with other numbers. */
interface Kind {
  readonly first: Growth;
  steps: number;
  pages: number;
}

function byKind(session: Session, growth: readonly Growth[]): Kind[] {
  const kinds = new Map<string, Kind>();
  for (const first of growth) {
    const { step, pages } = first;
    const name = session.label(step).replace(/0x[0-9a-f]+|\d+/g, '#');
    const kind = kinds.get(name);
    if (kind === undefined) kinds.set(name, { first, steps: 1, pages });
    else {
      kind.steps++;
      kind.pages += pages;
    }
  }
  return [...kinds.values()];
}

/** Pages gained or lost. */
function signed(pages: number): string {
  return `${pages < 0 ? '−' : '+'}${pagesText(Math.abs(pages))}`;
}

function byText(faults: number, kinds: Readonly<Record<string, number>>): string {
  if (faults === 0) return '';
  const known = Object.entries(kinds).filter(([, n]) => n > 0);
  const parts = known.map(([name, n]) => `${n} ${name}`).join(', ');
  return `, ${faults} ${faults === 1 ? 'fault' : 'faults'}${parts === '' ? '' : ` (${parts})`}`;
}

/** The mappings with the most resident pages, and what of the address space has none. */
function byMapping(mm: Mm, pid: number, chain: Chain): void {
  const all = [...mm.vmas].map((vma) => ({ vma, smaps: smapsOf(vma) }));
  all.sort((a, b) => b.smaps.rss - a.smaps.rss);
  for (const { vma, smaps } of all.slice(0, LARGEST)) {
    if (smaps.rss === 0) break;
    const name = vmaName(vma);
    const shared = smaps.sharedClean + smaps.sharedDirty;
    const note = shared > 0 ? `, ${shared / 4096} shared with others` : '';
    const what = `${permsOf(vma.flags)} ${name === '' ? 'anonymous' : name}`;
    chain.now(`${hex(vma.start)} ${what}: ${pagesText(smaps.rss / 4096)} of ${vma.pages}${note}`, {
      kind: 'address',
      pid,
      va: vma.start,
    });
  }
  const others = all.slice(LARGEST).reduce((sum, { smaps }) => sum + smaps.rss / 4096, 0);
  if (others > 0) chain.now(`the other ${all.length - LARGEST} mappings: ${pagesText(others)}`);
  const pss = Smaps.kib(all.reduce((sum, { smaps }) => sum + smaps.pss, 0));
  chain.now(
    `mapped are ${pagesText(mm.totalVm)}: what was never touched costs nothing; ` +
      `its share of shared pages counted (PSS): ${pss} KiB`,
  );
}
