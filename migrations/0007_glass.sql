-- Glass hands complete sets of signatures (unlocks and invitations) to both guards, so it reads what it stored.
grant select (assertion) on respond.signature to bartizan_glass;
