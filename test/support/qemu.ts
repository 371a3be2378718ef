// QEMU's x86-64 MMU over a RAM image: QEMU maps the file as the memory of a stopped machine, its
// gdb stub sets CR0, CR3, CR4 and EFER, and the monitor's gva2gpa translates.
//
// Source: QEMU docs/interop/qmp-spec.rst, docs/system/gdb.rst; gdb's remote protocol.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Numbers of control registers in QEMU's description of an x86-64 CPU for gdb. */
const CR0 = 27;
const CR3 = 29;
const CR4 = 30;
const EFER = 32;
const MONITOR = 'monitor';
const GDB = 'gdb';
const WAIT_MS = 20;
const MAX_WAITS = 500;

/** True where Debian's qemu-system-x86_64 is on this host. */
export function hasQemu(): boolean {
  try {
    execFileSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A stopped QEMU machine whose RAM is the file. */
export class Qemu {
  private readonly child: ChildProcess;
  private readonly folder: string;
  private readonly monitor: Stream;
  private readonly gdb: Stream;

  private constructor(child: ChildProcess, folder: string, monitor: Stream, gdb: Stream) {
    this.child = child;
    this.folder = folder;
    this.monitor = monitor;
    this.gdb = gdb;
  }

  /** @param image RAM from physical address 0. @param bytes its size, at most 2 GiB and 3/4. */
  static async start(image: string, bytes: number): Promise<Qemu> {
    const folder = mkdtempSync(join(tmpdir(), 'pagewalk-qemu-'));
    const child = spawn(
      'qemu-system-x86_64',
      [
        ...['-S', '-display', 'none', '-nodefaults', '-cpu', 'max', '-accel', 'tcg'],
        ...['-machine', 'q35,memory-backend=ram', '-m', `${bytes / 2 ** 20}M`],
        ...['-object', `memory-backend-file,id=ram,mem-path=${image},size=${bytes},share=off`],
        ...['-qmp', `unix:${join(folder, MONITOR)},server=on,wait=off`],
        ...['-gdb', `unix:${join(folder, GDB)},server=on,wait=off`],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    try {
      const monitor = await Stream.open(join(folder, MONITOR));
      const gdb = await Stream.open(join(folder, GDB));
      const qemu = new Qemu(child, folder, monitor, gdb);
      await monitor.until(/\n/);
      await qemu.command('qmp_capabilities', {});
      await qemu.packet('qSupported:xmlRegisters=i386');
      await qemu.packet('qXfer:features:read:target.xml:0,ffff');
      return qemu;
    } catch (e) {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
      throw e;
    }
  }

  /**
   * Long mode with paging and NX; tables under `cr3`, which lies below 2 GiB: before long mode is
   * on, the stub takes 32 bits of it and extends the sign.
   */
  async setRoot(cr3: number): Promise<void> {
    if (cr3 >= 2 ** 31) throw new Error('the PGD must lie below 2 GiB');
    await this.setRegister(CR4, 0x6b0);
    await this.setRegister(EFER, 0xd01);
    await this.setRegister(CR3, cr3);
    await this.setRegister(CR0, 0x80050033);
  }

  /** The guest-physical address of a virtual one (hex text), or -1. */
  async translate(va: string): Promise<number> {
    const text = await this.command('human-monitor-command', { 'command-line': `gva2gpa ${va}` });
    const match = /gpa: (0x[0-9a-f]+)/.exec(text);
    if (match === null && !text.includes('Unmapped')) throw new Error(`gva2gpa: ${text}`);
    return match === null ? -1 : Number(match[1]);
  }

  stop(): void {
    this.monitor.close();
    this.gdb.close();
    this.child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async command(execute: string, args: Record<string, string>): Promise<string> {
    this.monitor.write(JSON.stringify({ execute, arguments: args }) + '\n');
    for (;;) {
      const line = await this.monitor.until(/^[^\n]*\n/);
      const answer = JSON.parse(line) as { return?: unknown; error?: unknown };
      if (answer.error !== undefined) throw new Error(line);
      if (answer.return !== undefined) return JSON.stringify(answer.return);
    }
  }

  private async setRegister(number: number, value: number): Promise<void> {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    const answer = await this.packet(`P${number.toString(16)}=${bytes.toString('hex')}`);
    if (!answer.includes('$OK#')) throw new Error(`register ${number}: ${answer}`);
  }

  /** One packet of gdb's protocol, and the answer to it. */
  private async packet(body: string): Promise<string> {
    const sum = [...Buffer.from(body)].reduce((a, b) => (a + b) & 255, 0);
    this.gdb.write(`$${body}#${sum.toString(16).padStart(2, '0')}`);
    const answer = await this.gdb.until(/\$[^#]*#../s);
    this.gdb.write('+');
    return answer;
  }
}

/** A socket that is read up to a pattern. */
class Stream {
  private readonly socket: Socket;
  private buffer = '';
  private wake: () => void = () => undefined;
  private ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      this.buffer += String(data);
      this.wake();
    });
    socket.on('close', () => {
      this.ended = true;
      this.wake();
    });
    socket.on('error', () => undefined); // 'close' follows
  }

  static async open(path: string): Promise<Stream> {
    for (let i = 0; i < MAX_WAITS; i++) {
      const socket = existsSync(path) ? await tryConnect(path) : null;
      if (socket !== null) return new Stream(socket);
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
    throw new Error(`QEMU did not open ${path}`);
  }

  /** Text up to the end of the first match, which is taken out of the stream. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.buffer);
      if (match !== null) {
        const end = match.index + match[0].length;
        const text = this.buffer.slice(0, end);
        this.buffer = this.buffer.slice(end);
        return text;
      }
      if (this.ended) throw new Error('QEMU ended');
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  close(): void {
    this.socket.destroy();
  }
}

function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      resolve(socket);
    });
    socket.once('error', () => {
      resolve(null);
    });
  });
}
