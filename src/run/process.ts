import { closeSync, fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Logger } from '#base';

const READY_FD = 3;
const LIFELINE_FD = 4;
const STOP_WITHIN_MS = 3_000;

/** Runs a process of the product: signals, lifeline, last-resort errors. */
export interface Running {
  /** Tells the supervisor that the doors are open. */
  ready(): void;
  /** Registers work for a clean stop; run in reverse order of registration. */
  onStop(work: () => unknown): void;
  /** Stops as if asked to, with this exit status. 74: the log cannot be used (EX_IOERR). */
  stop(status?: number): void;
}

/**
 * Prepares this process: SIGTERM, SIGINT or a closed lifeline stop it within 3 s; SIGUSR1 is swallowed, because Node
 * would open its inspector; an error that nobody caught ends it with status 1 and without printing its data.
 */
export function runProcess(log: Logger): Running {
  const running = untilStopped(log);
  if (isPipe(LIFELINE_FD)) {
    // Not a file stream: its blocking read would hold a thread of the pool for life.
    const lifeline = new Socket({ fd: LIFELINE_FD, readable: true, writable: false });
    lifeline.on('end', () => running.stop());
    lifeline.on('error', () => running.stop());
    lifeline.unref();
    lifeline.resume();
  }
  return {
    ...running,
    ready: () => {
      if (!isPipe(READY_FD)) return;
      writeSync(READY_FD, 'READY=1\n');
      closeSync(READY_FD);
    },
  };
}

/** The same for a worker of a process: it tells its readiness, and learns of its owner's end, over its own channel. */
export function runWorker(log: Logger): Running {
  const running = untilStopped(log);
  process.on('disconnect', () => running.stop());
  return { ...running, ready: () => process.send?.('ready') };
}

function untilStopped(log: Logger): Omit<Running, 'ready'> {
  const stops: (() => unknown)[] = [];
  let stopping = false;
  const stop = (status = 0): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(status), STOP_WITHIN_MS).unref();
    void (async () => {
      for (const work of stops.reverse()) {
        try {
          await work();
        } catch (error) {
          log.error('a step of the stop failed', error);
        }
      }
      process.exit(status);
    })();
  };
  process.on('SIGUSR1', () => {});
  process.on('SIGTERM', () => stop());
  process.on('SIGINT', () => stop());
  process.on('uncaughtException', (error) => {
    log.error('an error reached the top of the process', error);
    stop(1);
  });
  process.on('unhandledRejection', (error) => {
    log.error('a promise failed without anyone listening', error);
    stop(1);
  });
  return {
    onStop: (work) => stops.push(work),
    stop,
  };
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
