// The explorer's page in a real Chromium, from a build of its own.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { serveSite } from '../../../tools/site-server.ts';
import { openWorkload } from '../../../tools/session/open.ts';
import { saveMachine } from '../../../tools/session/save.ts';
import { launch } from '../../support/chromium.ts';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const site = join(root, '.cache/site');
const GO = 'workload:binary-trees:go:0.05';
const VIEWS = 'memory space heap buddy slab tlb lru bytes events compare'.split(' ');

let server: Server;
let browser: Browser;
let page: Page;
let base: string;
/** What a page must not do: errors on its console, requests to anywhere else. */
let wrong: string[] = [];

beforeAll(async () => {
  const vite = join(dirname(require.resolve('vite/package.json')), 'bin/vite.js');
  const config = join(root, 'tools/config/vite.config.ts');
  execFileSync(process.execPath, [vite, 'build', '--config', config, '--outDir', site]);
  server = await serveSite({
    folder: site,
    file: join(root, 'test/scenarios/fork-parent-writes-first.scn'),
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  server.close();
});

afterEach(async () => {
  await page.context().close();
  expect(wrong).toEqual([]);
});

/** A new page at a link, when it has opened its session and shows a chain. */
async function visit(hash: string, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
  wrong = [];
  const viewport = { width: 1280, height: 800 };
  const context = await browser.newContext({ locale: 'en-US', viewport, colorScheme });
  page = await context.newPage();
  page.on('console', (m) => {
    const isOurs = m.type() === 'error' || m.type() === 'warning';
    if (isOurs && !/GPU stall|GL Driver Message/.test(m.text())) wrong.push(m.text());
  });
  page.on('pageerror', (e) => wrong.push(e.message));
  page.on('request', (r) => {
    if (!r.url().startsWith(base) && !/^(data|blob):/.test(r.url())) wrong.push(r.url());
  });
  await page.goto(base + hash);
  await ready();
  return page;
}

async function ready(): Promise<void> {
  await page.waitForSelector('body[data-ready="yes"]');
  await idle();
}

/** Waits until no action is under way. */
async function idle(): Promise<void> {
  await page.waitForFunction(() => document.querySelector('.say')?.textContent === '');
}

const kinds = (): Promise<string[]> =>
  page.$$eval('[data-testid="chain"] > li', (links) => links.map((l) => l.dataset['kind'] ?? ''));
const chosen = async (): Promise<string> =>
  (await page.textContent('[data-testid="chain-selection"]')) ?? '';
const position = async (): Promise<number> =>
  Number((await page.textContent('[data-testid="position"]'))?.split('/')[0]?.replace(/,/g, ''));
const hash = (): Promise<string> =>
  page.evaluate(() =>
    (window as unknown as { pagewalk: { hash(): Promise<string> } }).pagewalk.hash(),
  );

/** What an automated accessibility check finds. */
async function problems(): Promise<string[]> {
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  return await page.evaluate(async () => {
    interface Found {
      violations: { id: string; nodes: { html: string }[] }[];
    }
    const { axe } = window as unknown as { axe: { run(): Promise<Found> } };
    const { violations } = await axe.run();
    return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' ')}`);
  });
}

test.each(['light', 'dark'] as const)(
  'each view opens and is accessible, %s',
  async (theme) => {
    await visit(`#open=${GO}`, theme);
    for (const [i, view] of VIEWS.entries()) {
      await page.keyboard.press(String((i + 1) % 10));
      await page.waitForSelector(`.page[data-view="${view}"] .view h2`);
      await page.waitForTimeout(150);
      expect(await problems(), view).toEqual([]);
    }
  },
  120_000,
);

test('a selection leads down to the frame, and from the frame up to the object', async () => {
  await visit(`#open=${GO}&view=heap`);
  expect(await kinds()).toEqual(expect.arrayContaining(['object', 'span', 'vma', 'frame']));
  const before = await kinds();
  const object = await chosen();
  await page.click('[data-kind="frame"] .link-title');
  await expect.poll(chosen).toMatch(/^physical/);
  expect(await kinds()).toEqual(before);
  await page.click('[data-kind="object"] .link-title');
  await expect.poll(chosen).toBe(object);
  // an entry lies in a frame of its own: a page table
  await page.click('[data-kind="entry"] .link-title');
  await expect
    .poll(async () => await page.textContent('[data-kind="frame"] dl'))
    .toMatch(/page table/);
});

test('time goes forward and back to the same state', async () => {
  await visit('#open=example:fork-parent-writes-first.scn&at=3&view=buddy');
  expect(await position()).toBe(3);
  const before = await hash();
  const step = async (key: string, to: number): Promise<void> => {
    await page.keyboard.press(key);
    await expect.poll(position).toBe(to);
    await idle();
  };
  await step('.', 4);
  await step('.', 5);
  expect(await hash()).not.toBe(before);
  await step(',', 4);
  await step(',', 3);
  expect(await hash()).toBe(before);
  await page.keyboard.press('f');
  await expect.poll(position).toBeGreaterThan(3);
  await page.keyboard.press('Home');
  await expect.poll(position).toBe(0);
});

test('within a step: detail by detail, back, and on', async () => {
  await visit('#open=example:fork-parent-writes-first.scn&at=3&view=events');
  const where = async (): Promise<string> =>
    ((await page.textContent('[data-testid="position"]')) ?? '').split('/')[0]?.trim() ?? '';
  const before = await hash();
  await page.keyboard.press(']');
  await expect.poll(where).toBe('3 + 1');
  await page.waitForSelector('.within-list [aria-current="step"]');
  await page.keyboard.press(']');
  await expect.poll(where).toBe('3 + 2');
  await idle();
  expect(await problems()).toEqual([]);
  await page.keyboard.press('[');
  await page.keyboard.press('[');
  await expect.poll(where).toBe('3');
  await idle();
  expect(await hash()).toBe(before);
  await page.keyboard.press(']');
  await page.keyboard.press('.');
  await expect.poll(where).toBe('4');
});

test('why: causes are told, and lead to their step and to what they are about', async () => {
  await visit('#open=example:fork-parent-writes-first.scn&at=6&view=memory');
  await page.click('[data-testid="why-frame"]');
  await page.waitForSelector('[data-testid="why-answer"] li');
  expect(await page.textContent('[data-testid="why-answer"] p')).toMatch(/^It is used/);
  await page.click('[data-testid="why-rss"]');
  await expect
    .poll(async () => await page.textContent('[data-testid="why-answer"] p'))
    .toMatch(/^It has \d+ pages/);
  const step = await page.textContent('[data-testid="why-answer"] li .mono');
  await page.click('[data-testid="why-answer"] li .mono');
  await expect.poll(position).toBe(Number(step?.replace('step ', '')));
  await idle();
  expect(await problems()).toEqual([]);
});

test('who pins it: the holders of an object’s place, and the way to them', async () => {
  await visit(`#open=${GO}&view=heap`);
  await page.click('[data-testid="why-pinned"]');
  await page.waitForSelector('[data-testid="why-answer"] li');
  expect(await page.textContent('[data-testid="why-answer"] p')).toMatch(/^It lies in span/);
  const before = await chosen();
  await page.click('[data-testid="why-answer"] li:nth-child(2) .goto');
  await expect.poll(chosen).not.toBe(before);
  await idle();
  expect(await problems()).toEqual([]);
});

test('the keyboard alone is enough', async () => {
  await visit(`#open=${GO}`);
  // a frame in the map
  await page.keyboard.press('m');
  const first = await chosen();
  await page.keyboard.press('ArrowRight');
  await expect.poll(chosen).not.toBe(first);
  // links of the chain
  await page.keyboard.press('c');
  await page.keyboard.press('Enter');
  const link = await chosen();
  expect(link).not.toBe('');
  // an address, then its bytes
  await page.keyboard.press('g');
  await page.keyboard.type('p:0x1000000');
  await page.keyboard.press('Enter');
  await expect.poll(chosen).toBe('physical 0x1000000');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.page[data-view="bytes"] .byte.here');
  // help, and out of it; the dialogue of files
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open] .keys');
  expect(await problems()).toEqual([]);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.keyboard.press('o');
  await page.waitForSelector('dialog[open] .offers');
  expect(await problems()).toEqual([]);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
});

test('a link reopens what is seen', async () => {
  await visit('#open=example:swap-out-and-in.scn&at=9&view=space');
  await page.keyboard.press('8');
  await page.waitForSelector('.page[data-view="bytes"]');
  const link = await page.evaluate(() => window.location.hash);
  const before = [await chosen(), await position(), await hash()];
  await page.context().close();
  await visit(link);
  expect([await chosen(), await position(), await hash()]).toEqual(before);
  expect(await page.getAttribute('.page', 'data-view')).toBe('bytes');
});

test('the file that is served, and one that is picked, open; a bad one says why', async () => {
  await visit('#open=fork.scn&view=events');
  expect(await page.textContent('.open-button')).toContain('fork.scn');
  await page.keyboard.press('o');
  await page.setInputFiles('input[type="file"]', join(root, 'test/scenarios/thp-fault.scn'));
  await expect.poll(() => page.textContent('.open-button')).toContain('thp-fault.scn');
  await page.keyboard.press('o');
  const buffer = Buffer.from('mmap A 2 pages?\n');
  await page.setInputFiles('input[type="file"]', { name: 'bad.scn', mimeType: '', buffer });
  await expect.poll(() => page.textContent('.say')).toMatch(/bad\.scn:1/);
  expect(await page.textContent('.open-button')).toContain('thp-fault.scn');
});

test('a saved machine opens in the page as it was saved', async () => {
  const session = openWorkload('graphs', { scale: 0.01, case: 'python:3.12', ram: 2 ** 28 });
  session.seek(20);
  const buffer = Buffer.from(await saveMachine(session, 'graphs after 20 steps'));
  await visit('#open=fork.scn&view=heap');
  await page.keyboard.press('o');
  await page.setInputFiles('input[type="file"]', { name: 'g.machine', mimeType: '', buffer });
  await expect.poll(() => page.textContent('.open-button')).toContain('graphs after 20 steps');
  await idle();
  expect(await hash()).toBe(session.hash());
  await page.waitForSelector('.view h2:has-text("Python heap")');
});

test('a second run is compared: both in the plots, and where the memory of each is', async () => {
  await visit(`#open=${GO}&view=compare`);
  expect(await page.$$('.waterfall, .view table')).not.toEqual([]);
  await page.click('button:has-text("Compare with")');
  await page.waitForSelector('dialog[open] .offers');
  expect(await problems()).toEqual([]);
  await page.click('dialog button:has-text("binary trees, Python")');
  await page.waitForSelector('dialog', { state: 'detached' });
  await idle();
  await expect.poll(async () => (await page.textContent('.view')) ?? '').toMatch(/Python/i);
  expect(await problems()).toEqual([]);
});

test('a phone shows every view without scrolling sideways', async () => {
  await visit(`#open=${GO}`);
  await page.setViewportSize({ width: 390, height: 844 });
  for (const label of ['Heap', 'Buddy', 'Chain']) {
    await page.click(`.nav button:has-text("${label}")`);
    await page.waitForTimeout(60);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, label).toBeLessThanOrEqual(390);
  }
});

test('the page is less than 500 KB, compressed', () => {
  const files = readdirSync(join(site, 'assets')).map((f) => join(site, 'assets', f));
  const bytes = [join(site, 'index.html'), ...files].map((f) => gzipSync(readFileSync(f)).length);
  expect(bytes.reduce((a, b) => a + b, 0)).toBeLessThan(500_000);
});
