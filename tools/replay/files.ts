// The recorded machine's files: what lies in the page cache at the start, and who has what open.
//
// A recording names a descriptor's file beside it (`3</etc/passwd>`), after links were followed.
// An open() is a file description with its own read-ahead state and position, shared by dup() and
// fork(); which inode it stands for is known when the path is first seen with it. Files that the
// recording never maps do not matter to memory and are not made.

import type { Kernel } from './kernel.ts';
import type { File, Inode, InodeKind } from '../../userspace/file.ts';
import type { FileRecord } from '../trace/record.ts';

/** Paths whose files live in memory alone (tmpfs); others are taken as a disk's. */
const SHMEM_PATH = /^(\/memfd:|\/dev\/shm\/|\/SYSV|\/dev\/zero)/;

interface RecordedFile {
  readonly inode: Inode;
  readonly record: FileRecord | undefined;
  mapped: boolean;
}

/** An open file description, before and after its inode is known. */
export interface Description {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly created: boolean;
  file: File | undefined;
  path: string;
}

/** One process's descriptors. */
export class Descriptors {
  private readonly table = new Map<number, Description>();

  get(fd: number): Description | undefined {
    return this.table.get(fd);
  }

  set(fd: number, description: Description): void {
    this.close(fd);
    this.table.set(fd, description);
  }

  close(fd: number): void {
    this.table.delete(fd);
  }

  /** fork(): the same descriptions under the same numbers. */
  copy(): Descriptors {
    const other = new Descriptors();
    for (const [fd, description] of this.table) other.table.set(fd, description);
    return other;
  }

  values(): IterableIterator<Description> {
    return this.table.values();
  }
}

/** Segments of System V shared memory by their id. */
export class Segments {
  private readonly inodes = new Map<number, Inode>();

  add(kernel: Kernel, id: number, path: string, size: number): void {
    if (this.inodes.has(id)) return;
    const inode = kernel.createInode('shmem', path, size);
    inode.mapsAround = false;
    this.inodes.set(id, inode);
  }

  /** shmctl(IPC_RMID): the segment goes with its last attachment. */
  remove(kernel: Kernel, id: number): void {
    const inode = this.inodes.get(id);
    this.inodes.delete(id);
    if (inode !== undefined) kernel.drop(inode);
  }

  /** All segments go. */
  release(kernel: Kernel): void {
    for (const id of [...this.inodes.keys()]) this.remove(kernel, id);
  }

  /** An open description of a segment; one that the recording did not make is one page long. */
  get(kernel: Kernel, id: number): File {
    this.add(kernel, id, '/SYSV00000000', 4096);
    return kernel.open(this.inodes.get(id)!, true, true);
  }
}

/** All files of one recording. Two recordings on one machine may share them by path. */
export class RecordedFiles {
  private readonly kernel: Kernel;
  private readonly files = new Map<string, RecordedFile>();
  /** Sizes learned on the way (strace: st_size) of files that have no record. */
  private readonly sizes = new Map<string, number>();
  /** Files opened with O_CREAT and not yet unlinked, the latest last. */
  private readonly created: string[] = [];

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** A `file` line: makes the file and puts its pages into the page cache. */
  add(record: FileRecord): void {
    if (this.files.has(record.path)) return;
    const inode = this.kernel.createInode(kindOf(record.path), record.path, record.size);
    this.files.set(record.path, { inode, record, mapped: false });
    if (!record.created) this.preload(inode, record);
  }

  /** What a file that has no record holds, as far as it is known before it is mapped. */
  learnSize(path: string, bytes: number): void {
    this.sizes.set(path, Math.max(bytes, this.sizes.get(path) ?? 0));
  }

  has(path: string): boolean {
    return this.files.has(path);
  }

  inode(path: string): Inode | undefined {
    return this.files.get(path)?.inode;
  }

  opened(path: string, description: Description): void {
    if (description.created && path !== '') this.created.push(path);
  }

  /**
   * The description's open file, its inode made where it was not known.
   * @param neededBytes size that the use implies, for a file without a record.
   */
  resolve(description: Description, path: string, neededBytes: number): File {
    if (description.file === undefined || description.path !== path) {
      description.file = this.kernel.open(
        this.ensure(path, neededBytes),
        description.readable,
        description.writable,
      );
      description.path = path;
    }
    this.atLeast(description.file, path, neededBytes);
    return description.file;
  }

  /** A file that has no record is as long as its uses need. */
  atLeast(file: File, path: string, bytes: number): void {
    const { inode } = file;
    if (this.files.get(path)?.record !== undefined || inode.kind !== 'disk') return;
    const size = this.sizes.get(path) ?? bytes;
    if (size <= inode.size) return;
    inode.size = size;
    this.kernel.preload(inode, 0, inode.sizePages);
  }

  /** A file that the run makes is as its `file` line says when it is first mapped, not before. */
  isUnborn(path: string): boolean {
    const file = this.files.get(path);
    return file?.record?.created === true && !file.mapped;
  }

  /** The file is mapped for the first time: it is now as its `file` line says. */
  mapped(path: string): void {
    const file = this.files.get(path);
    if (file === undefined || file.mapped) return;
    file.mapped = true;
    if (file.record?.created !== true) return;
    // What of it is cached, the line says too: growing makes no page.
    if (file.inode.size > file.record.size) this.kernel.truncate(file.inode, file.record.size);
    file.inode.size = file.record.size;
    this.preload(file.inode, file.record);
  }

  /**
   * unlink(): of the path where it is known; otherwise (a kernel recording has the address of the
   * name alone) of the file that was made last and is still there.
   */
  unlink(path: string | undefined): void {
    const name = path ?? this.created.at(-1);
    if (name === undefined) return;
    const i = this.created.lastIndexOf(name);
    if (i >= 0) this.created.splice(i, 1);
    const file = this.files.get(name);
    if (file === undefined) return;
    this.kernel.unlink(file.inode);
  }

  /** Lets go of the files in memory that descriptors may have held: the recording is over. */
  release(): void {
    for (const { inode } of this.files.values()) {
      if (inode.kind === 'shmem') this.kernel.drop(inode);
    }
    this.files.clear();
  }

  private ensure(path: string, neededBytes: number): Inode {
    const known = this.files.get(path);
    if (known !== undefined) return known.inode;
    const size = this.sizes.get(path) ?? neededBytes;
    const inode = this.kernel.createInode(kindOf(path), path, size);
    this.files.set(path, { inode, record: undefined, mapped: false });
    // Nothing is known of its cache: as on a warm machine, all of it is there.
    if (inode.kind === 'disk') this.kernel.preload(inode, 0, inode.sizePages);
    return inode;
  }

  private preload(inode: Inode, record: FileRecord): void {
    for (const [first, count] of record.folios) {
      if (inode.cache.indexes(first, first + count).length > 0) continue;
      this.kernel.preloadFolio(inode, first, Math.log2(count));
    }
    let left = record.cached - record.folios.reduce((sum, [, count]) => sum + count, 0);
    const inFolio = (page: number): boolean =>
      record.folios.some(([first, count]) => page >= first && page < first + count);
    for (let page = 0; page < record.pages && left > 0; page++) {
      if (inFolio(page)) continue;
      this.kernel.preload(inode, page, page + 1);
      left--;
    }
  }
}

function kindOf(path: string): InodeKind {
  return SHMEM_PATH.test(path) ? 'shmem' : 'disk';
}
