export { KEEPER_DOORS, type KeeperDoor } from './doors.ts';
export { KeeperError } from './error.ts';
export { Keeper } from './keeper.ts';
export { serveKeeper } from './serve.ts';
export {
  type KeySettings,
  parseKeySettings,
  type QuorumSettings,
  type ServiceSettings,
  type TokenSettings,
} from './settings.ts';
