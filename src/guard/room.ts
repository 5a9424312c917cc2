import { existsSync, rmSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const MIB = 1024 * 1024;
/** Kept free of use so that the log can say its last words on a full disk. */
const RESERVE_BYTES = MIB;
/** Below this the disk is low: a year of an ordinary log is less. */
const LOW_BYTES = 256 * MIB;

/** How much room the log has. */
export interface Room {
  readonly freeMb: number;
  readonly low: boolean;
}

/** The disk of the log: how full it is, and a reserve that is given up when it is full. */
export class Disk {
  readonly #folder: string;
  readonly #reserve: string;
  #room: Room | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#reserve = join(folder, 'reserve');
  }

  /** What was found last; undefined before the first look. */
  get room(): Room | undefined {
    return this.#room;
  }

  /** Looks how much is free. True if it has just become low. */
  async look(): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#folder);
    const free = bavail * bsize;
    const before = this.#room?.low ?? false;
    this.#room = { freeMb: Math.floor(free / MIB), low: free < LOW_BYTES };
    return this.#room.low && !before;
  }

  /** Lays the reserve aside if there is none; on a disk that is too full for it there is none. */
  async layAside(): Promise<void> {
    if (existsSync(this.#reserve)) return;
    try {
      const handle = await open(this.#reserve, 'wx', 0o600);
      try {
        // Not a hole: the blocks must be there.
        await handle.writeFile(Buffer.alloc(RESERVE_BYTES, 0x5a));
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch {
      rmSync(this.#reserve, { force: true });
    }
  }

  /** Gives the reserve up. */
  giveUp(): void {
    rmSync(this.#reserve, { force: true });
  }
}

const LOOK_MS = 60_000;

/** Looks now and every minute, and tells when the disk becomes low. Returns how to stop. */
export async function watchRoom(disk: Disk, tell: (room: Room) => void): Promise<() => void> {
  const look = async () => {
    if (await disk.look()) tell(disk.room!);
    await disk.layAside();
  };
  await look();
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
