-- Room: people. Search: nothing of it is in the database but what the ledger writes down.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('search.hydrated', 6005, 99, 4, 'two people opened a search: names enter the sealer’s memory, or numbers are indexed by tags'),
  ('search.dehydrated', 6005, 99, 2, 'an administrator closed a search'),
  ('search.opened', 6005, 1, 3, 'the ledger opened a batch of rows for a search that two people opened'),
  ('search.evaluated', 6005, 1, 2, 'a number was tried: the ledger evaluated it without seeing it'),
  ('directory.searched', 6005, 1, 2, 'a search found nobody');
