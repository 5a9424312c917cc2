/** Something is not what it claims to be, or was asked for wrongly (`usage`) or could not be read (`unread`). */
export class Finding extends Error {
  readonly code: 'key' | 'note' | 'checkpoint' | 'proof' | 'policy' | 'stamp' | 'usage' | 'unread';

  constructor(code: Finding['code'], message: string) {
    super(message);
    this.code = code;
  }
}
