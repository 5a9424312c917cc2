export {
  type AlertRow,
  acknowledgeAlert,
  countOpenAlerts,
  getAlert,
  linkAlert,
  listAlerts,
} from './alerts.ts';
export { type AlarmRow, endSilence, listChannels, listSilences, silenceRule, testChannels } from './channels.ts';
export { Engine, type Finding, fieldsOf } from './engine.ts';
export { WatchError } from './error.ts';
export { loadRules, RULES_DIR } from './load.ts';
export { compileRules, LEVELS, type Level, parseCases, type Rule, type RuleCase } from './rule.ts';
export { Watch } from './watch.ts';
