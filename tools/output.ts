// Standard output in large pieces: a write for each line would cost more than the work.

/** Writes JSON lines, some 64 KiB at a time. */
export class JsonLines {
  private parts: string[] = [];
  private length = 0;

  write(value: unknown): void {
    const line = `${JSON.stringify(value)}\n`;
    this.parts.push(line);
    this.length += line.length;
    if (this.length > 65536) this.end();
  }

  /** Writes what is left. */
  end(): void {
    if (this.parts.length > 0) process.stdout.write(this.parts.join(''));
    this.parts = [];
    this.length = 0;
  }
}
