-- Room: log. Restores and their rehearsals.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('log.restored', 6002, 99, 5, 'an installation was restored from its backups; the log goes on under a new name'),
  ('backup.drilled', 6002, 99, 2, 'a restore was rehearsed on a clean machine, and a decoy opened there');
