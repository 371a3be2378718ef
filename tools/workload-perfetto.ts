// Cases of a workload as a trace that Perfetto and chrome://tracing open: a process a case, its
// memory as a counter over virtual time.
// Source: the Trace Event Format, events of phase C and M; times in microseconds.

import type { CaseResult } from './run-case.ts';

export function workloadPerfetto(results: readonly CaseResult[]): string {
  const events: unknown[] = [];
  results.forEach((r, i) => {
    const pid = i + 1;
    events.push({ ph: 'M', pid, name: 'process_name', args: { name: r.name } });
    for (const [ns, bytes] of r.course)
      events.push({ ph: 'C', pid, name: 'resident bytes', ts: ns / 1000, args: { bytes } });
  });
  return `${JSON.stringify({ displayTimeUnit: 'ns', traceEvents: events })}\n`;
}
