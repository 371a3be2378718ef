// Same seed, same bytes: a case of a workload ends in the same machine in a real Chromium's worker
// as in Node, what compare --hash prints.

import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build, type Rolldown } from 'vite';
import { programs } from '../../runtime/workload/programs/index.ts';
import { type CaseResult, runCase } from '../../tools/run-case.ts';
import { launch } from '../support/chromium.ts';

let browser: Browser;
let page: Page;
let code: string;

beforeAll(async () => {
  const entry = fileURLToPath(new URL('../support/case-worker.ts', import.meta.url));
  const built = await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      write: false,
      minify: false,
      lib: { entry, formats: ['iife'], name: 'worker', fileName: 'worker' },
    },
  });
  const outputs = (Array.isArray(built) ? built : [built]) as Rolldown.RolldownOutput[];
  code = outputs[0].output[0].code;
  browser = await launch();
  page = await browser.newPage();
});

afterAll(async () => {
  await browser.close();
});

/** Runs a case in a worker of the page. */
async function inBrowser(program: string, name: string, options: object): Promise<CaseResult> {
  return await page.evaluate<CaseResult, readonly [string, object]>(
    async ([text, asked]) => {
      const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
      const worker = new Worker(url);
      return await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }: { data: CaseResult }) => {
          resolve(data);
        };
        worker.onerror = (e) => {
          reject(new Error(e.message));
        };
        worker.postMessage(asked);
      });
    },
    [code, { program, name, options }] as const,
  );
}

test.each([
  ['binary_trees', 'go', 7],
  ['word_count', 'python', 0],
  ['graphs', 'python:3.12', 3],
])('%s on %s with seed %i: the same machine', async (program, name, seed) => {
  const options = {
    ram: 2 ** 28,
    scale: 0.02,
    swap: 2 ** 25,
    limit: 2 ** 25,
    seed,
    aslr: String(seed),
  };
  const here = runCase(programs[program], name, options);
  const there = await inBrowser(program, name, options);
  expect(there.hash).toBe(here.hash);
  expect(here.hash).toMatch(/^[0-9a-f]{8,}$/);
  expect(there).toEqual(here);
  const other = runCase(programs[program], name, { ...options, aslr: 'another' });
  expect(other.hash).not.toBe(here.hash);
});
