-- Room: fleet. On which list of revoked certificates a certificate was first named; set in the transaction that signs the list.
alter table fleet.certificate add column crl_number bigint;
