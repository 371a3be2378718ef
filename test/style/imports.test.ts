// Which way imports point, as data: the layers, what each may import, and debt by name.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What files of a layer may import, besides their own layer. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  userspace: ['kernel'],
  runtime: ['kernel', 'userspace'],
  tools: ['kernel', 'userspace', 'runtime'],
  test: ['kernel', 'userspace', 'runtime', 'tools'],
};
/** Layers that may use packages and Node. */
const WITH_PACKAGES = ['tools', 'test'];
/** Imports that break the rule today, as `FILE -> IMPORT`; to be paid back. */
const DEBT: readonly string[] = [];

const IMPORT =
  /(?:^|[\n;])\s*(?:import|export)\b[^'";]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s*['"]([^'"]+)['"]/g;

/** The imports of a source text, comments left out. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
  return [...code.matchAll(IMPORT)].map((m) => m.slice(1).filter(Boolean).join(''));
}

/** Why `file` (from the root) may not import `spec`; undefined where it may. */
function violation(file: string, spec: string): string | undefined {
  const layer = file.split('/')[0];
  if (!spec.startsWith('.')) {
    return WITH_PACKAGES.includes(layer) ? undefined : `${file} -> ${spec}: a package`;
  }
  const target = normalize(join(dirname(file), spec.replace(/\?worker$/, '')));
  const into = target.split('/')[0];
  if (into !== layer && !ALLOWED[layer].includes(into)) return `${file} -> ${target}: upwards`;
  if (/^[^.]+$/.test(target) || !/\.(tsx?|mjs|js|json|css)$/.test(target)) {
    return `${file} -> ${target}: written without its extension`;
  }
  return undefined;
}

function sourceFiles(): string[] {
  return Object.keys(ALLOWED).flatMap((layer) =>
    readdirSync(join(root, layer), { recursive: true, encoding: 'utf8' })
      .filter((f) => /\.tsx?$/.test(f) && !f.endsWith('.d.ts'))
      .map((f) => `${layer}/${f}`),
  );
}

describe('the import rule', () => {
  const files = sourceFiles();

  test('reads files of every layer', () => {
    for (const layer of Object.keys(ALLOWED)) {
      expect(files.filter((f) => f.startsWith(`${layer}/`)).length).toBeGreaterThan(0);
    }
    const found = files.flatMap((f) => importsOf(readFileSync(join(root, f), 'utf8')));
    expect(found.length).toBeGreaterThan(files.length);
  });

  test('no import points up, and no package is used below tools', () => {
    const broken = files.flatMap((f) =>
      importsOf(readFileSync(join(root, f), 'utf8')).flatMap((spec) => violation(f, spec) ?? []),
    );
    expect(broken.filter((b) => !DEBT.some((d) => b.startsWith(d)))).toEqual([]);
  });

  test('debt that is paid is struck from the list', () => {
    const all = files.flatMap((f) =>
      importsOf(readFileSync(join(root, f), 'utf8')).flatMap((spec) => violation(f, spec) ?? []),
    );
    expect(DEBT.filter((d) => !all.some((b) => b.startsWith(d)))).toEqual([]);
  });

  test('no cycle among the files of the layers', () => {
    const graph = new Map<string, string[]>();
    for (const f of files) {
      const text = readFileSync(join(root, f), 'utf8').replace(
        /import type [^;]*;|export type [^;]*;/g,
        '',
      );
      const targets = importsOf(text).filter((s) => s.startsWith('.'));
      graph.set(
        f,
        targets.map((s) => normalize(join(dirname(f), s))),
      );
    }
    expect(findCycle(graph)).toEqual([]);
  });

  test.each([
    ['kernel/a.ts', "import { Mm } from '../userspace/mm.ts';"],
    ['kernel/a.ts', "import { readFileSync } from 'node:fs';"],
    ['kernel/a.ts', "import seedrandom from 'seedrandom';"],
    ['userspace/a.ts', "export { GoHeap } from '../runtime/go/mheap.ts';"],
    ['userspace/a.ts', "const x = await import('../tools/cli.ts');"],
    ['runtime/go/a.ts', "import type { X } from '../../tools/input.ts';"],
    ['runtime/a.ts', "import {\n  X,\n  Y,\n} from '../test/support/y.ts';"],
    ['tools/a.ts', "import { x } from '../test/support/y.ts';"],
    ['kernel/a.ts', "import { x } from './b';"],
  ])('a planted violation is found: %s: %s', (file, text) => {
    const specs = importsOf(text);
    expect(specs).toHaveLength(1);
    expect(violation(file, specs[0])).toBeDefined();
  });

  test.each([
    ['runtime/a.ts', "import { x } from '../kernel/types.ts';"],
    ['tools/a.ts', "import { readFileSync } from 'node:fs';"],
    ['userspace/a.ts', "// import { x } from '../tools/y.ts';\nimport { z } from './mm.ts';"],
  ])('an allowed import passes: %s: %s', (file, text) => {
    expect(importsOf(text).map((s) => violation(file, s))).toEqual([undefined]);
  });

  test('a planted cycle is found', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['a']],
    ]);
    expect(findCycle(graph).length).toBeGreaterThan(0);
  });
});

/** The files of one cycle of the graph, in order; empty where there is none. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): string[] => {
    const at = path.indexOf(node);
    if (at >= 0) return [...path.slice(at), node];
    if (done.has(node)) return [];
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle.length > 0) return cycle;
    }
    path.pop();
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const cycle = visit(node);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
