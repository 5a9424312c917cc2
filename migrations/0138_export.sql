-- Room: people. Exports: everybody in one file for recipients whom two people signed.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('directory.export_begun', 6005, 99, 5, 'two people signed that everybody is exported to named recipients; it is charged in full'),
  ('directory.exported', 6005, 1, 4, 'the ledger opened a batch of values for an export'),
  ('directory.export_done', 6005, 99, 4, 'the file of an export is finished, encrypted to its recipients');

-- Whose rows glass brings next: everybody who has a name, in order.
create function people.export_page(a_after text, a_limit int) returns table (subject text)
language sql stable security definer set search_path = pg_catalog as $$
  select s.subject from people.sealed s where s.field = 'name' and s.row is not null and s.subject > a_after
  order by s.subject limit least(a_limit, 500)
$$;
revoke all on function people.export_page(text, int) from public;
grant execute on function people.export_page(text, int) to bartizan_glass;
