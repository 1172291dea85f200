#!/usr/bin/env bash
# run.sh TAOSPG: starts a server on a free port with an empty data directory, loads the readings of three stations and asks about them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
taospg=$1
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT

"$taospg" --data-dir "$work/data" --listen 127.0.0.1:0 >"$work/out" 2>"$work/log" &
server=$!
until grep -q '^listening on ' "$work/out"; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
    sleep 0.05
done
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$work/out")
gunzip -c "$here/temperatures.csv.gz" > "$work/temperatures.csv"

export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=postgres PAGER=cat
sql() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"; }

echo "A server listens on port $port. A database for weather, and one table for every station in it:"
sql --echo-queries <<SQL
CREATE DATABASE weather KEEP 36500;
\connect weather
CREATE STABLE temperatures (ts TIMESTAMP, celsius DOUBLE) TAGS (site VARCHAR(64), medium VARCHAR(8));
\copy temperatures (tbname, ts, celsius, site, medium) FROM '$work/temperatures.csv' CSV HEADER
SQL

export PGDATABASE=weather
echo
echo "How much is there, and how warm is it?"
sql --echo-queries <<'SQL'
SELECT site, medium, count(*), round(avg(celsius)::numeric, 2) AS mean, min(celsius), max(celsius)
  FROM temperatures GROUP BY site, medium ORDER BY mean;
SQL
echo "The newest reading of each station, answered from memory:"
sql --echo-queries <<'SQL'
SELECT DISTINCT ON (tbname) tbname, ts, celsius FROM temperatures ORDER BY tbname, ts DESC;
SQL
echo "The sea off Maine, month by month:"
sql --echo-queries <<'SQL'
SELECT to_char(time_bucket('1 month', ts), 'YYYY-MM') AS month, round(avg(celsius)::numeric, 1) AS mean,
       repeat('#', (2 * avg(celsius))::int) AS chart
  FROM temperatures WHERE tbname = 'b01_western_maine_shelf' GROUP BY 1 ORDER BY 1;
SQL
echo "The days on which it changed most:"
sql --echo-queries <<'SQL'
SELECT time_bucket('1 day', ts)::date AS day, round((max(celsius) - min(celsius))::numeric, 2) AS range
  FROM temperatures WHERE tbname = 'b01_western_maine_shelf' GROUP BY day ORDER BY range DESC LIMIT 3;
SQL
