// Finds a Chromium for the browser tests: CHROMIUM_PATH, one on PATH, or the one that lies in the
// npm package @sparticuz/chromium.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const ARGS: readonly string[] = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
];

async function findChromium(): Promise<string> {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') return named;
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      if (existsSync(join(dir, name))) return join(dir, name);
    }
  }
  const { default: packed } = await import('@sparticuz/chromium');
  return await packed.executablePath();
}

/** A headless browser with software WebGL. */
export async function launch(): Promise<Browser> {
  return await chromium.launch({ executablePath: await findChromium(), args: [...ARGS] });
}
