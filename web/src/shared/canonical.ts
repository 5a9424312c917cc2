/** The same canonical JSON that the guards compute (no I/O in it), so that both sides hash the same bytes. */
export { canonicalJson, type Json } from '../../../src/base/canonical.ts';
