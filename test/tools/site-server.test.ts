// The server of the explorer: what it gives, and what it refuses.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveSite } from '../../tools/site-server.ts';

let server: Server;
let folder: string;
let port: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pagewalk-site-'));
  mkdirSync(join(folder, 'site/assets'), { recursive: true });
  writeFileSync(join(folder, 'site/index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'site/assets/a.js'), 'export {};');
  writeFileSync(join(folder, 'site/.hidden'), 'hidden');
  writeFileSync(join(folder, 'secret'), 'secret');
  writeFileSync(join(folder, 'run.trace'), 'a recording');
  symlinkSync(join(folder, 'secret'), join(folder, 'site/out'));
  server = await serveSite({ folder: join(folder, 'site'), file: join(folder, 'run.trace') });
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly code: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

function ask(path: string, host = `127.0.0.1:${port}`, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers: { host } }, (r) => {
      let text = '';
      r.setEncoding('utf8');
      r.on('data', (chunk: string) => (text += chunk));
      r.on('end', () => resolve({ code: r.statusCode ?? 0, text, headers: r.headers }));
    });
    sent.on('error', reject).end();
  });
}

test.each([
  ['/', '<!doctype html>', 'text/html; charset=utf-8'],
  ['/assets/a.js', 'export {};', 'text/javascript; charset=utf-8'],
  ['/assets/a.js?v=1', 'export {};', 'text/javascript; charset=utf-8'],
  ['/file', 'a recording', 'application/octet-stream'],
])('gives %s', async (path, text, type) => {
  const answer = await ask(path);
  expect(answer).toMatchObject({ code: 200, text });
  expect(answer.headers['content-type']).toBe(type);
  const policy = answer.headers['content-security-policy'];
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('http');
});

test.each([
  '/../secret',
  '/%2e%2e/secret',
  '/..%2fsecret',
  '/assets/../../secret',
  '/..\\secret',
  '/out',
  '/.hidden',
  '/assets',
  '/nothing',
  '/%00',
  '/%zz',
])('has nothing at %s', async (path) => {
  expect(await ask(path)).toMatchObject({ code: 404, text: '404\n' });
});

test.each(['evil.example', 'evil.example:80', '127.0.0.1:1', '127.0.0.1'])(
  'refuses a request for the host "%s"',
  async (host) => {
    expect((await ask('/', host)).code).toBeGreaterThanOrEqual(400);
  },
);

test('answers to localhost too', async () => {
  expect((await ask('/', `localhost:${port}`)).code).toBe(200);
});

test.each(['POST', 'PUT', 'DELETE'])('refuses %s', async (method) => {
  expect((await ask('/', undefined, method)).code).toBe(405);
});

test('listens on loopback alone', () => {
  expect((server.address() as AddressInfo).address).toBe('127.0.0.1');
});
