/** Lets the browser paint and hear its user; not a timer, which a tab in the background would slow down. */
const pause = () =>
  new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener('message', () => {
      port1.close();
      resolve();
    });
    // a port with listeners, unlike one with `onmessage`, has to be started
    port1.start();
    port2.postMessage(null);
  });

const WORK_MS = 12;

/** For work in many lanes: all wait together, whenever they have kept the page busy for as long as nobody notices. */
export function breather(): () => Promise<void> | undefined {
  let last = performance.now();
  let waiting: Promise<void> | undefined;
  return () => {
    if (waiting === undefined && performance.now() - last > WORK_MS) {
      waiting = pause().then(() => {
        waiting = undefined;
        last = performance.now();
      });
    }
    return waiting;
  };
}
