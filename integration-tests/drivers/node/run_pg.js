// The scenario by node-postgres, in text and (where its types have a reader) in binary, then what only this driver does.
const assert = require('node:assert');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { Client, Pool, types } = require('pg');
const Cursor = require('pg-cursor');
const { from, to } = require('pg-copy-streams');
const { run, arrayText } = require('./scenario');

const at = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', database: 'postgres' };
// int8, numeric, time, date and timestamp as text, so that nothing is rounded or shifted on the way.
const PLAIN = [20, 1700, 1082, 1083, 1114, 1184, 1186, 114, 3802, 2950];
const PLAIN_ARRAYS = [1016, 1231, 1182, 1183, 1115, 1185, 1187, 199, 3807, 2951, 1000, 1001, 1005, 1007, 1021, 1022];
const texts = types.getTypeParser(1009);
const reading = { getTypeParser: (oid, format) => PLAIN.includes(oid) ? (v) => v : PLAIN_ARRAYS.includes(oid) ? texts : types.getTypeParser(oid, format) };

function native([type, value]) {
    if (value === null) return null;
    if (type === 'bytea') return Buffer.from(value.slice(2), 'hex');
    if (type.endsWith('[]')) return arrayText(value);
    if (type === 'bool') return value === 't';
    if (type === 'int2' || type === 'int4' || type === 'float8') return Number(value);
    return value;
}

class Driver {
    key = 'pg';
    name = `node-postgres ${require('pg/package.json').version}`;
    canNot = {
        pipeline: 'the driver waits for each answer',
        'after ALTER the driver may prepare again by itself, or be told once that the result has changed':
            'the driver never prepares a name again',
    };

    sqlstate(error) { return error.code; }

    async execute(step) {
        const values = (step.params ?? []).map(native);
        const name = 'repeat' in step || 'may_fail_once' in step ? step.sql.slice(0, 60) : undefined;
        const result = await this.client.query({ text: step.sql, values: values.length || name ? values : undefined, name, rowMode: 'array' });
        return { rows: result.rows, names: result.fields.map((f) => f.name), oids: result.fields.map((f) => f.dataTypeID), count: result.rowCount };
    }

    async batch(step) {
        const name = `batch ${this.batches = (this.batches ?? 0) + 1}`;
        await this.client.query('BEGIN');
        try {
            for (const values of step.batch) {
                await this.client.query({ name, text: step.sql, values: values.map((value, i) => native([step.types[i], value])) });
            }
        } catch (error) {
            await this.client.query('ROLLBACK');
            throw error;
        }
        await this.client.query('COMMIT');
        return {};
    }

    async copy_in(step) {
        const stream = this.client.query(from(step.sql));
        await pipeline(Readable.from([step.copy_in]), stream);
        return { count: stream.rowCount };
    }

    async copy_out(step) {
        const parts = [];
        for await (const part of this.client.query(to(step.sql))) parts.push(part);
        return Buffer.concat(parts).toString();
    }

    async fetch(step) {
        const cursor = this.client.query(new Cursor(step.sql, (step.params ?? []).map(native), { rowMode: 'array', types: reading }));
        const rows = [];
        for (let part; (part = await cursor.read(step.fetch)).length > 0;) {
            assert(part.length <= step.fetch, 'more rows than asked for');
            rows.push(...part);
        }
        await cursor.close();
        return { rows };
    }

    async cancel(step) {
        const canceling = new Client(at);
        const running = this.client.query(step.sql);
        setTimeout(() => canceling.cancel(this.client, this.client._activeQuery ?? this.client.activeQuery), step.cancel);
        await running;
    }
}

// Binary results, a pool, an error that leaves the client usable, notices of the connection.
async function own() {
    const client = new Client({ ...at, types: reading });
    await client.connect();
    const text = "SELECT i2, i4, f4, f8, b, t FROM readings WHERE i2 = -32768";
    const binary = await client.query({ text, binary: true, rowMode: 'array' });
    assert.deepStrictEqual(binary.rows, [[-32768, 2147483647, 1.5, 0.1, true, "naïve 日本 'quoted' \\ tab\t line\n end"]]);
    await assert.rejects(client.query('SELECT * FROM nowhere'), { code: '42P01', position: '15', severity: 'ERROR' });
    await client.end();
    const pool = new Pool({ ...at, max: 3 });
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => pool.query('SELECT $1::int AS n', [n])));
    assert.deepStrictEqual(answers.map((answer) => answer.rows[0].n), [1, 2, 3, 4, 5, 6]);
    await pool.end();
}

async function main() {
    const driver = new Driver();
    driver.client = new Client({ ...at, types: reading });
    await driver.client.connect();
    const failed = await run(driver);
    await driver.client.end();
    await own();
    process.exit(failed > 0 ? 1 : 0);
}

main().catch((error) => { console.error(error); process.exit(1); });
