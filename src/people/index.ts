export { settleArriving } from './settle.ts';
