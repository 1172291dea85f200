-- The tables of pgbench's built-in scripts, with the time column that every table here has. pgbench -i cannot make them: it asks for a fill factor,
-- and adds the keys afterwards.
CREATE TABLE pgbench_branches (ts timestamptz NOT NULL, bid integer, bbalance integer, filler text, PRIMARY KEY (bid, ts));
CREATE TABLE pgbench_accounts (ts timestamptz NOT NULL, aid integer, bid integer, abalance integer, filler text, PRIMARY KEY (aid, ts));
INSERT INTO pgbench_branches (ts, bid, bbalance) VALUES ('2026-01-01 00:00:00+00', 1, 0);
INSERT INTO pgbench_accounts (ts, aid, bid, abalance)
    SELECT '2026-01-01 00:00:00+00'::timestamptz, x, 1, 0 FROM generate_series(1, 100000) AS accounts (x);
-- Those of devices.sql.
CREATE STABLE bench_devices (ts TIMESTAMP, value DOUBLE, state INT) TAGS (device INT);
