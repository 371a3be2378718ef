import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('../../', import.meta.url)),
  cacheDir: '.cache/vitest',
  test: {
    globalSetup: ['test/global-setup.ts'],
    include: ['test/**/*.test.ts', 'test/fuzz/**/*.fuzz.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
