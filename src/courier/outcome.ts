import type { Sealed } from '#base';
import type { MessageText } from '#seal';

/**
 * How a try ended. `reason` is a code of ours: what a gateway said is read for its number and thrown away, because
 * gateways repeat the address in their errors.
 */
export type Outcome =
  | { readonly end: 'sent' }
  /** The gateway said that it will never take it. */
  | { readonly end: 'failed'; readonly reason: string }
  /** It was surely not taken: it may be tried again. */
  | { readonly end: 'again'; readonly reason: string; readonly afterSeconds?: number }
  /** It may have been taken. */
  | { readonly end: 'uncertain'; readonly reason: string };

/** A way to people. */
export interface Gateway {
  /** Sends one message; `id` is the same at every try. Never throws. */
  send(to: Sealed<string>, message: MessageText, id: string): Promise<Outcome>;
  close(): void;
}
