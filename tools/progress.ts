// A line on standard error that says how far long work has come: on a terminal only, at most five
// times a second, and gone when the work is done.

const INTERVAL_MS = 200;

export class Progress {
  private readonly label: string;
  private readonly shown = process.stderr.isTTY;
  private next = 0;

  constructor(label: string) {
    this.label = label;
    this.next = performance.now() + INTERVAL_MS;
  }

  /** So much of `total` is done; cheap enough for every step. */
  at(done: number, total: number): void {
    if (!this.shown || performance.now() < this.next) return;
    this.next = performance.now() + INTERVAL_MS;
    const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
    process.stderr.write(`\r${this.label}: ${percent} %\x1b[K`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.shown) process.stderr.write('\r\x1b[K');
  }
}
