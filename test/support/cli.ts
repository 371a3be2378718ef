// Runs the command line as a user does: the compiled one, in a process of its own.

import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../dist/tools/cli.js', import.meta.url));

export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `pagewalk ARGS`, without colours and without a terminal. */
export function pagewalk(...args: string[]): CliResult {
  const run = spawnSync(process.execPath, [cli, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
    maxBuffer: 1 << 28,
  });
  return { code: run.status ?? -1, out: run.stdout, err: run.stderr };
}

/** A folder for a test's files; call the second function when done. */
export function scratch(): [folder: string, remove: () => void] {
  const folder = mkdtempSync(join(tmpdir(), 'pagewalk-test-'));
  return [folder, () => rmSync(folder, { recursive: true })];
}

/** Writes a text, gzip if its name says so, and returns its path. */
export function writeText(folder: string, name: string, text: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text);
  return path;
}
