import { BartizanError } from '#base';

/** Codes: `share`, `shares`, `target`, `same-target`, `disk-full`, `archive`, `tampered`, `sets`, `missing`, `rollback`, `settings`. */
export class BackupError extends BartizanError {}
