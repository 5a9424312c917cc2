-- Room: log. The third lock of the directory: kinds that the ledger writes.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('third.key_pinned', 3001, 1, 3, 'a passkey named the key that its PRF gives: it can be given a box of the third lock'),
  ('third.proposed', 6002, 1, 4, 'an administrator made a third lock; it counts once two people have put it in force'),
  ('third.shared', 6002, 3, 4, 'an administrator let more passkeys open the third lock');
