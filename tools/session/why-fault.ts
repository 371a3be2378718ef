// Why did an access fault: the mapping and the entry that it found, and what had put them there.

import { InputError } from '../../kernel/errors.ts';
import { page_fault_kernel, page_fault_user } from '../../kernel/trace.ts';
import { hex } from '../../kernel/types.ts';
import { addressHistory } from './history.ts';
import { pageState } from './page-state.ts';
import type { Session } from './session.ts';
import { Chain, frameText, type Why } from './why.ts';

/** The address and the task of the last fault up to the session's position. */
export function lastFault(session: Session): { pid: number; va: number } | undefined {
  const { events } = session;
  for (let n = events.firstOf(session.position) - 1; n >= 0; n--) {
    const { point, pid, args } = events.get(n);
    if (point !== page_fault_user && point !== page_fault_kernel) continue;
    return { pid, va: args['address'] ?? 0 };
  }
  return undefined;
}

/**
 * Why the last access to `va` (of the last fault of all, where it is not given) faulted.
 * @throws InputError where no process has this id, or no fault happened
 */
export function whyFault(session: Session, pid?: number, va?: number): Why {
  const last = lastFault(session);
  if (va === undefined && last === undefined) {
    throw new InputError(session.name, 'no fault is known up to here: give an address');
  }
  const at = va ?? last?.va ?? 0;
  const who = pid ?? last?.pid ?? session.processes[0]?.task.pid ?? 0;
  const chain = new Chain(session);
  const fault = addressHistory(session, who, at, chain);
  const task = session.system.tasks.get(who);
  if (fault === undefined && task === undefined) {
    throw new InputError(session.name, `no process ${who} lives here`);
  }
  const about = { kind: 'address', pid: who, va: at } as const;
  if (task !== undefined) chain.now(nowText(pageState(task.mm, at)), about);
  const answer =
    fault === undefined
      ? 'It did not, as far as this run goes.'
      : `In step ${fault.step + 1}: ${fault.cause}.`;
  const question = `Why did the access to ${hex(at)} in process ${who} fault?`;
  return { question, answer, causes: chain.causes };
}

function nowText(s: ReturnType<typeof pageState>): string {
  if (s.mapping === '') return 'nothing is mapped there: the next access ends in SIGSEGV';
  const entry: Record<string, string> = {
    present: `its entry maps ${frameText(s.pfn)}, ${s.writable ? 'writable' : 'read-only'}`,
    swapped: `its page lies in slot ${s.slot} of swap`,
    guard: 'a guard marker stands there',
    none: 'no entry: the next access faults',
    other: 'a marker stands there',
  };
  return `mapping ${s.mapping}; ${entry[s.kind] ?? ''}`;
}
