/**
 * What `work` gives, or an error with this message after `ms` milliseconds; what comes later is ignored. Work that is done but
 * has not been told yet, because this process was busy, counts as done.
 */
export function withinMs<T>(work: Promise<T>, ms: number, late: string | (() => Error)): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(typeof late === 'string' ? new Error(late) : late())), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
