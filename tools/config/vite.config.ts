// Builds the explorer's page into dist/site: plain files that any server serves.

import { cpSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What the page offers besides tools/examples. */
const OTHERS = [
  ...[
    'fork-parent-writes-first',
    'swap-out-and-in',
    'thp-fault',
    'memfd-shared-faultaround',
    'mprotect-split-merge',
  ].map((name) => `test/scenarios/${name}.scn`),
  'test/conformance/go/scripts/random-graphs/04.heap',
  'test/conformance/python/objects/random-manual-021.pyobj',
];

/** The page offers the package's examples: they lie beside it. */
const examples: Plugin = {
  name: 'examples',
  writeBundle({ dir: outDir = '' }) {
    cpSync(`${root}tools/examples`, `${outDir}/examples`, {
      recursive: true,
      filter: (path) => !/\.(end|counts)\.json(\.gz)?$|\.lackey\.gz$/.test(path),
    });
    for (const file of OTHERS) cpSync(root + file, `${outDir}/examples/${basename(file)}`);
  },
};

export default defineConfig({
  root: `${root}tools/explorer`,
  base: './',
  cacheDir: `${root}.cache/vite`,
  publicDir: false,
  logLevel: 'warn',
  plugins: [examples],
  build: {
    outDir: `${root}dist/site`,
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 900,
  },
  // no development runtime: JSX is preact's calls
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  // saved machines name their classes: the emulator's keep their names
  worker: { format: 'es', rolldownOptions: { output: { keepNames: true } } },
  server: { host: '127.0.0.1' },
  preview: { host: '127.0.0.1' },
});
