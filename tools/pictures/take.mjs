// Takes the README's pictures from the running program: `npm run pictures`.
//
// Each is what `pagewalk explore` serves, seen in a Chromium (CHROMIUM names one that is not on the
// PATH), at 1280 x 800 and at a point of a run that is the same each time.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { chromium } from 'playwright-core';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** File, what is explored, and the part of the link that says where and what. */
const PICTURES = [
  { name: 'memory.png', open: 'pair-binary_trees-python', view: 'memory', at: 6000, dark: true },
  { name: 'space.png', open: 'pair-hello-go', view: 'space', at: 200, dark: false },
];

async function take(browser, { name, open, view, at, dark }) {
  const server = spawn(process.execPath, [here('../../dist/tools/cli.js'), 'explore', open], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [url] = (await once(server.stdout, 'data')).toString().trim().split('\n');
    const page = await browser.newPage({
      viewport: { width: 1280, height: 800 },
      colorScheme: dark ? 'dark' : 'light',
      locale: 'en-US',
    });
    await page.goto(`${url.replace(/&at=.*/, '')}&at=${at}&view=${view}`);
    await page.waitForSelector('canvas', { timeout: 60_000 });
    await page.waitForTimeout(4000); // the run gets there, plots are drawn
    await page.screenshot({ path: here(name) });
    await page.close();
  } finally {
    server.kill();
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
});
for (const picture of PICTURES) await take(browser, picture);
await browser.close();
