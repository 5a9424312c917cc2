export { openForAlerts } from './auto.ts';
export { type CheckedEntry, checkEntry, type LedgerEntry } from './entry.ts';
export { IncidentError } from './error.ts';
export { type ExposureReport, listExposures, makeExposure } from './exposure.ts';
export { exposureMarkdown } from './markdown.ts';
export {
  addNote,
  confirmT0,
  getIncident,
  type Incident,
  listIncidents,
  type Note,
  openIncident,
  setStatus,
} from './record.ts';
