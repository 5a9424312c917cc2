export { Alarms } from './alarms.ts';
export { AlarmError } from './error.ts';
export { headline, type Notice } from './notice.ts';
export { requestFor } from './request.ts';
export {
  type AlarmSettings,
  alarmsFile,
  type Channel,
  checkAlarms,
  KINDS,
  NO_ALARMS,
  readAlarms,
} from './settings.ts';
