export { emit, type NewEvent } from './emit.ts';
export { NUMBER_BATCH, numberEvents } from './number.ts';
export { eventsOf, type LogEvent, readEvents } from './read.ts';
export { Refusals } from './refusals.ts';
export { SHIP_BATCH, type Shipping, shipLeaves } from './ship.ts';
export { tailGuards } from './tail.ts';
