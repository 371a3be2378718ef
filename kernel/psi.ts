// Pressure stall information: how long tasks waited for memory.
//
//     some   at least one task waited        full   all that could run did
//
// Here one task runs at a time, so both are the same: what it spent in direct reclaim and on pages
// that came back from swap, in emulated time. Costs are assumed, as nothing here has a clock of its
// own: a page looked at, a page written or read. The averages are running means over 10, 60 and 300
// seconds of emulated time, brought up to date every two seconds.
// Source: Linux 6.18 kernel/sched/psi.c: psi_memstall_enter(), calc_avgs(), psi_show().

/** Assumed costs in ns. */
export const SCAN_NS = 200;
export const PAGE_IO_NS = 5000;

const PERIOD_NS = 2e9;
const WINDOWS = [10e9, 60e9, 300e9];

export class Psi {
  /** Time waited so far, in ns. */
  totalNs = 0;
  private readonly averages = [0, 0, 0];
  private updatedNs = 0;
  private totalThen = 0;

  /** A task waited. */
  stall(ns: number): void {
    this.totalNs += ns;
  }

  /** /proc/pressure/memory at an emulated time. */
  show(nowNs: number): string {
    this.update(nowNs);
    const [a, b, c] = this.averages.map((average) => (100 * average).toFixed(2));
    const total = Math.floor(this.totalNs / 1000);
    const line = (name: string): string =>
      `${name} avg10=${a} avg60=${b} avg300=${c} total=${total}\n`;
    return line('some') + line('full');
  }

  private update(nowNs: number): void {
    const periods = Math.floor((nowNs - this.updatedNs) / PERIOD_NS);
    if (periods <= 0) return;
    const share = Math.min(1, (this.totalNs - this.totalThen) / (periods * PERIOD_NS));
    WINDOWS.forEach((window, i) => {
      const kept = Math.exp((-PERIOD_NS * periods) / window);
      this.averages[i] = this.averages[i] * kept + share * (1 - kept);
    });
    this.updatedNs += periods * PERIOD_NS;
    this.totalThen = this.totalNs;
  }
}
