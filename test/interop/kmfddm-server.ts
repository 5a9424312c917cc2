import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transport } from '#sim';

const KEY = 'kmfddm';

/** A server for declarative management that others wrote, with files as its storage. */
export interface Kmfddm {
  /** Its API, below /v1; throws unless it answers 2xx or 304 (nothing changed). Returns the status and the body's JSON. */
  api(method: string, path: string, body?: string): Promise<{ status: number; body: unknown }>;
  /** What a device with this enrolment id would say to it through an MDM server. */
  as(id: string): Transport;
  /** Ends the process and starts it anew on the same files. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startKmfddm(program: string, dir: string, port: number): Promise<Kmfddm> {
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess;
  const start = async () => {
    // Its key-value storages (v0.8.3) walk a map, so that the same list has another token from one answer to the next.
    const storage = ['-storage', 'file', '-storage-options', 'enable_deprecated=1', '-storage-dsn', dir];
    child = spawn(
      program,
      [...storage, '-api', KEY, '-listen', `127.0.0.1:${port}`, '-enqueue', 'http://127.0.0.1:9/'],
      {
        stdio: 'ignore',
      },
    );
    for (let tries = 0; tries < 100; tries += 1) {
      if (
        await fetch(`${url}/version`).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        return;
      await sleep(50);
    }
    throw new Error('kmfddm did not start');
  };
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  await start();
  return {
    api: async (method, path, body) => {
      const authorization = `Basic ${Buffer.from(`kmfddm:${KEY}`).toString('base64')}`;
      // Nobody is there to be told, so it shall tell nobody.
      const target = `${url}/v1${path}${path.includes('?') ? '&' : '?'}nonotify=1`;
      const answer = await fetch(target, {
        method,
        headers: { authorization },
        ...(body === undefined ? {} : { body }),
      });
      const text = await answer.text();
      if (!answer.ok && answer.status !== 304)
        throw new Error(`kmfddm answered ${answer.status}: ${text.slice(0, 200)}`);
      const json = answer.headers.get('content-type')?.startsWith('application/json');
      return { status: answer.status, body: json ? (JSON.parse(text) as unknown) : undefined };
    },
    as: (id) => async (endpoint, data) => {
      const headers = { 'X-Enrollment-ID': id };
      const answer = await fetch(
        `${url}/${endpoint}`,
        data === undefined ? { headers } : { method: 'PUT', headers, body: Buffer.from(data) },
      );
      return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) };
    },
    restart: async () => {
      await stop();
      await start();
    },
    stop,
  };
}
