// The rules of style that a program can check: widths, lengths, top comments, words.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const MAX_COLUMNS = 100;
const MAX_LINES = 400;
/** A line that is one regular expression or string cannot be broken. */
const ONE_LITERAL = /^\s*(\/.+\/[a-z]*|'.*'|".*"|`.*`)[,;)]*$/;

/** Files that are longer today, by name; to be split. Generated tables are listed apart. */
const LONG: readonly string[] = ['runtime/go/gomap.ts'];
/** Where comments are wider today, by the path's beginning. */
const WIDE: readonly string[] = [];
const GENERATED: readonly string[] = [];

/** What may lie at the top of the repository. */
const TOP: readonly string[] = [
  ...['.ci', '.gitignore', 'README.md', 'package-lock.json', 'package.json', 'tsconfig.json'],
  ...['kernel', 'userspace', 'runtime', 'tools', 'test'],
];

/** What is not to be published: notes to ourselves, and places on the machine of whoever wrote it. */
const FORBIDDEN: readonly RegExp[] = [/\bTODO\b|\bFIXME\b|\bXXX\b/, /\/(home|Users)\/\w/];

/** Layer sources and tests that git knows or would add. */
function sources(): string[] {
  const out = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return out
    .split('\n')
    .filter((f) => /^(kernel|userspace|runtime|tools|test)\/.*\.(tsx?|mjs|js|css)$/.test(f))
    .filter((f) => !/^(test\/conformance|tools\/examples)\//.test(f));
}

interface Problem {
  readonly file: string;
  readonly what: string;
}

function problems(file: string, text: string): Problem[] {
  const found: Problem[] = [];
  const lines = text.split('\n');
  lines.forEach((line, i) => {
    if (
      line.length > MAX_COLUMNS &&
      !ONE_LITERAL.test(line) &&
      !WIDE.some((w) => file.startsWith(w))
    )
      found.push({ file, what: `line ${i + 1}: ${line.length} columns` });
    for (const word of FORBIDDEN) {
      if (word.test(line)) found.push({ file, what: `line ${i + 1}: ${word.source}` });
    }
    if (line.includes('\t')) found.push({ file, what: `line ${i + 1}: a tab` });
  });
  if (lines.length - 1 > MAX_LINES && !LONG.includes(file) && !GENERATED.includes(file)) {
    found.push({ file, what: `${lines.length - 1} lines` });
  }
  const first = lines[lines[0].startsWith('#!') ? 1 : 0];
  if (
    !/^(\/\/|\/\*)/.test(first) &&
    !/\.config\.(ts|js)$|\.test\.ts$|^test\/support\//.test(file)
  ) {
    found.push({ file, what: 'no comment at the top' });
  }
  return found;
}

describe('tidy', () => {
  const files = sources();

  test('finds the sources', () => {
    expect(files).toContain('kernel/types.ts');
    expect(files).toContain('tools/cli.ts');
  });

  test('nothing lies at the top that does not belong there', () => {
    const all = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' });
    const top = new Set(
      all
        .trim()
        .split('\n')
        .map((f) => f.split('/')[0]),
    );
    expect([...top].filter((name) => !TOP.includes(name))).toEqual([]);
  });

  test('every file is within the limits, begins with a comment, and says nothing forbidden', () => {
    const self = 'test/style/tidy.test.ts';
    const found = files
      .filter((f) => f !== self)
      .flatMap((f) => problems(f, readFileSync(join(root, f), 'utf8')));
    expect(found.map((p) => `${p.file}: ${p.what}`)).toEqual([]);
  });

  test('a file that got shorter is struck from the list of long ones', () => {
    const paid = LONG.filter(
      (f) => readFileSync(join(root, f), 'utf8').split('\n').length - 1 <= MAX_LINES,
    );
    expect(paid).toEqual([]);
  });

  test.each([
    ['a long line', `// top\n${'x'.repeat(101)}\n`],
    ['a long file', `// top\n${'x\n'.repeat(401)}`],
    ['no top comment', 'const x = 1;\n'],
    ['a path of a machine', "// top\nconst x = '/home/me/file';\n"],
    ['a to-do', '// top\n// TODO: later\n'],
  ])('a planted problem is found: %s', (_what, text) => {
    expect(problems('userspace/planted.ts', text).length).toBeGreaterThan(0);
  });

  test('a tidy file passes', () => {
    expect(problems('kernel/fine.ts', '// What it is.\n\nexport const x = 1;\n')).toEqual([]);
  });
});
