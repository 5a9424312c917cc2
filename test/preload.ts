import { endWhatLingers } from './linger.ts';

// Loaded before every test file. Stopping the whole product on a busy machine takes seconds.
endWhatLingers(20_000);
