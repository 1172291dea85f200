// node-postgres: parameters, every type in text and binary, prepared statements, COPY, transactions, errors.
// usage: try_pg.js PORT; exits with 0 when everything came back as it was sent.
const assert = require('node:assert');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { Client } = require('pg');
const { from } = require('pg-copy-streams');

const columns = ['ts', 'b', 'i2', 'i4', 'i8', 'f4', 'f8', 'n', 't', 'v', 'c', 'raw', 'tz', 'tl', 'd', 'j', 'device', 'site'];
const create = (table) => `CREATE TABLE ${table} (
    ts timestamptz NOT NULL, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
    n numeric(20,6), t text, v varchar(20), c char(3), raw bytea, tz timestamptz, tl timestamp, d date, j jsonb,
    device text, site varchar(20), PRIMARY KEY (device, site, ts))`;
const sent = [
    new Date('2026-03-01T12:00:00.123Z'), true, -32768, 2147483647, '-9223372036854775808', 1.5, 0.1, '12345678901234.567890',
    "naïve 日本 'quoted' \\ tab\t line\n end", '', 'abc', Buffer.from([0, 1, 127, 128, 255]), new Date('1999-12-31T23:59:59.999Z'),
    '2026-03-29 02:30:00', '1969-12-31', { a: [1, null, { b: 'ü' }], n: 1.5 }, "d'1", 'north',
];
// int8, numeric, date and timestamp as text, so that nothing is rounded or shifted on the way.
const asText = { getTypeParser: (oid, format) => [20, 1700, 1082, 1114].includes(oid) ? (v) => v : require('pg').types.getTypeParser(oid, format) };

async function main() {
    const client = new Client({ host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', database: 'postgres', types: asText });
    await client.connect();
    await client.query(create('inserted'));
    const places = columns.map((_, i) => `$${i + 1}`).join(', ');
    const insert = `INSERT INTO inserted (${columns.join(', ')}) VALUES (${places})`;
    assert.equal((await client.query(insert, sent)).rowCount, 1);
    const nulls = sent.map((v, i) => [0, 16, 17].includes(i) ? v : null);
    nulls[0] = new Date('2026-03-01T12:00:01Z');
    assert.equal((await client.query({ name: 'again', text: insert, values: nulls })).rowCount, 1);

    const select = `SELECT ${columns.join(', ')} FROM inserted ORDER BY ts`;
    const { rows } = await client.query({ text: select, rowMode: 'array' });
    assert.deepStrictEqual(rows, [sent, nulls]);
    const some = await client.query('SELECT i4, f8, t, b FROM inserted WHERE device = $1 AND i4 > $2', ["d'1", 5]);
    assert.deepStrictEqual(some.rows, [{ i4: 2147483647, f8: 0.1, t: sent[8], b: true }]);
    const binary = await client.query({ text: 'SELECT i2, i4, f4, f8, b, t, ts FROM inserted WHERE i4 IS NOT NULL', binary: true, rowMode: 'array' });
    assert.deepStrictEqual(binary.rows, [[-32768, 2147483647, 1.5, 0.1, true, sent[8], sent[0]]]);

    await client.query(create('copied'));
    const copy = client.query(from('COPY copied (device, site, ts, i4, t) FROM STDIN'));
    const lines = Array.from({ length: 1000 }, (_, i) => `d${i % 5}\tnorth\t2026-01-01 00:00:${String(i % 60).padStart(2, '0')}.${String(i).padStart(6, '0')}+00\t${i}\tt\\t${i}\n`);
    await pipeline(Readable.from(lines), copy);
    const sums = await client.query('SELECT count(*) AS n, sum(i4) AS s, max(t) AS t FROM copied');
    assert.deepStrictEqual(sums.rows, [{ n: '1000', s: '499500', t: 't\t999' }]);

    await client.query('BEGIN');
    await client.query('INSERT INTO copied (device, site, ts) VALUES ($1, $2, $3)', ['x', 'y', sent[0]]);
    await client.query('ROLLBACK');
    assert.equal((await client.query("SELECT count(*) AS n FROM copied WHERE device = 'x'")).rows[0].n, '0');
    await assert.rejects(client.query('SELECT * FROM nowhere'), { code: '42P01', position: '15' });
    await client.end();
}

main().catch((error) => { console.error(error); process.exit(1); });
