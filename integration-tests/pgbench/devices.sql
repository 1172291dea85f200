-- Devices write and are looked at: a row for one of a hundred, its newest value, a minute's mean.
\set device random(1, 100)
\set value random(0, 1000)
INSERT INTO bench_devices (ts, value, state, device) VALUES (now(), :value, 1, :device);
SELECT ts, value FROM bench_devices WHERE device = :device ORDER BY ts DESC LIMIT 1;
SELECT time_bucket('1 minute', ts) AS minute, avg(value), count(*) FROM bench_devices WHERE device = :device GROUP BY minute ORDER BY minute;
