export { Courier } from './courier.ts';
export { CourierError } from './error.ts';
export { makeCourierKey, readCourierKey } from './key.ts';
export { Queue } from './queue.ts';
export { type CourierSettings, checkSettings, readSettings, settingsFile } from './settings.ts';
