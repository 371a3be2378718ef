// Serves the explorer's page: a folder of plain files, and one file of the user's beside them.
//
// Whoever can reach the port can read what is served, and any web page can make a browser ask a
// loopback port. So: it listens on loopback unless told otherwise; a request must name the host it
// was sent to (a page that made its own name point here does not); only GET and HEAD; only files
// below the folder, links not followed out of it; and the page may load nothing from elsewhere.

import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

export interface SiteOptions {
  /** The folder, and the file that answers /file; none where it is undefined. */
  readonly folder: string;
  readonly file?: string | undefined;
  /** Where to listen; 127.0.0.1 where not given. @default port 0: any that is free */
  readonly host?: string;
  readonly port?: number;
}

/** A server that listens; its address() says where. */
export async function serveSite(options: SiteOptions): Promise<Server> {
  const root = await realpath(options.folder);
  const server = createServer((request, response) => {
    void answer(request, response, root, options).catch(() => refuse(response, 500));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  root: string,
  options: SiteOptions,
): Promise<void> {
  if (!isForUs(request, options.host)) {
    refuse(response, 403);
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    refuse(response, 405);
    return;
  }
  const path = await fileOf(request.url ?? '', root, options.file);
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || found?.isFile() !== true) {
    refuse(response, 404);
    return;
  }
  response.writeHead(200, {
    ...HEADERS,
    'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
    'Content-Length': found.size,
  });
  if (request.method === 'HEAD') response.end();
  else
    createReadStream(path)
      .on('error', () => response.destroy())
      .pipe(response);
}

/** Does the Host header name this very server? */
function isForUs(request: IncomingMessage, host = '127.0.0.1'): boolean {
  const port = request.socket.localPort ?? 0;
  const isLoopback = ['127.0.0.1', 'localhost', '::1'].includes(host);
  const names = isLoopback ? ['127.0.0.1', 'localhost', '[::1]'] : undefined;
  const asked = request.headers.host ?? '';
  // who listens for others is reached by whatever name or address they know
  if (names === undefined) return asked !== '';
  return names.some((name) => asked === `${name}:${port}` || (port === 80 && asked === name));
}

/** The file that a request's path names; undefined where it names none of ours. */
async function fileOf(
  url: string,
  root: string,
  file: string | undefined,
): Promise<string | undefined> {
  const path = url.replace(/[?#].*$/s, '');
  if (path === '/file') return file;
  let plain: string;
  try {
    plain = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  const parts = plain.split('/').slice(1);
  if (!plain.startsWith('/') || /[\0\\]/.test(plain)) return undefined;
  if (parts.some((part) => part.startsWith('.'))) return undefined;
  if (parts.at(-1) === '') parts[parts.length - 1] = 'index.html';
  const real = await realpath(join(root, ...parts)).catch(() => undefined);
  return real?.startsWith(root + sep) === true ? real : undefined;
}

function refuse(response: ServerResponse, code: number): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(code, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${code}\n`);
}
