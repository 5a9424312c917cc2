/** One thing that happened to a person's values, as the ledger tells it from the log. */
export interface SheetEntry {
  readonly leaf: number;
  readonly kind: string;
  readonly time: number;
  readonly admin: string | null;
  readonly role: string | null;
  readonly field: string | null;
  readonly purpose: string | null;
  readonly envelope: string;
  readonly proof: readonly string[];
}

export interface SheetPage {
  readonly entries: readonly SheetEntry[];
  readonly checkpoint: string;
}
