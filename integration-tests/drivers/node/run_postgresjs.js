// The scenario by postgres.js, which pipelines, then what only this driver does.
const assert = require('node:assert');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const postgres = require('postgres');
const { run, arrayText } = require('./scenario');

// Values as text in both directions, so that nothing is rounded or shifted on the way; arrays too.
const TEXT = [16, 17, 20, 21, 23, 25, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802];
const connect = (options) => postgres({
    host: '127.0.0.1', port: Number(process.argv[2]), username: 'postgres', database: 'postgres', onnotice: () => {}, ...options,
});
const plain = { types: { text: { to: 25, from: TEXT, serialize: (v) => v, parse: (v) => v } }, fetch_types: false, max: 1 };

const native = ([type, value]) => Array.isArray(value) ? arrayText(value) : value;

// A one-dimensional array's text as a list.
function elements(text) {
    if (typeof text !== 'string') return text;
    const found = [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)];
    return found.map(([, quoted, bare]) => quoted !== undefined ? quoted.replace(/\\(.)/g, '$1') : bare === 'NULL' ? null : bare);
}

class Driver {
    key = 'postgresjs';
    name = 'postgres.js';
    canNot = { 'a bad line stores nothing': 'an error at the end of COPY never reaches the stream' };

    sqlstate(error) { return error.code; }

    result(step, answer) {
        const lists = (step.columns ?? []).map((type) => type.endsWith('[]'));
        const rows = [...answer].map((row) => row.map((value, i) => lists[i] && value !== null ? elements(value) : value));
        return { rows, names: answer.columns?.map((c) => c.name), oids: answer.columns?.map((c) => c.type), count: answer.count };
    }

    statement(sql, step) {
        return sql.unsafe(step.sql, (step.params ?? []).map(native), { prepare: Boolean(step.params) });
    }

    async execute(step) {
        return this.result(step, await this.statement(this.sql, step).values());
    }

    async batch(step) {
        const lists = step.batch.map((values) => values.map((value, i) => native([step.types[i], value])));
        await this.sql.unsafe('BEGIN');
        const sent = await Promise.allSettled(lists.map((values) => this.sql.unsafe(step.sql, values, { prepare: true })));
        const failed = sent.find((answer) => answer.status === 'rejected');
        await this.sql.unsafe(failed ? 'ROLLBACK' : 'COMMIT');
        if (failed) throw failed.reason;
        return {};
    }

    async pipeline(step) {
        const texts = ['BEGIN', ...step.pipeline];
        const sent = await Promise.allSettled(texts.map((text) => this.sql.unsafe(text)));
        await this.sql.unsafe('ROLLBACK');
        const failed = sent.find((answer) => answer.status === 'rejected');
        if (failed) throw failed.reason;
    }

    async copy_in(step) {
        const copy = this.sql.unsafe(step.sql);
        await pipeline(Readable.from([step.copy_in]), await copy.writable());
        return {}; // the driver does not tell how many
    }

    async copy_out(step) {
        const parts = [];
        for await (const part of await this.sql.unsafe(step.sql).readable()) parts.push(part);
        return Buffer.concat(parts).toString();
    }

    async fetch(step) {
        const rows = [];
        await this.statement(this.sql, { ...step, params: step.params ?? [] }).values().cursor(step.fetch, (part) => {
            assert(part.length <= step.fetch, 'more rows than asked for');
            rows.push(...part);
        });
        return { rows };
    }

    async cancel(step) {
        const running = this.sql.unsafe(step.sql);
        setTimeout(() => running.cancel(), step.cancel);
        await running;
    }
}

// Tagged templates with the driver's own types, which it learns from pg_type when it connects; nested transactions; several connections.
async function own() {
    const sql = connect({ max: 3 });
    await sql`CREATE TABLE own (ts timestamptz NOT NULL, v double precision, tags text, j jsonb, device text, PRIMARY KEY (device, ts))`;
    const rows = [1, 2, 3].map((second) => ({ ts: new Date(Date.UTC(2026, 0, 1, 0, 0, second)), v: second / 8, j: { second }, device: 'd' }));
    await sql`INSERT INTO own ${sql(rows, 'ts', 'v', 'j', 'device')}`;
    assert.deepStrictEqual([...await sql`SELECT ts, v, j, device FROM own ORDER BY ts`].map((row) => ({ ...row })), rows);
    assert.equal((await sql`SELECT count(*)::int AS n FROM own WHERE v = ANY(${[0.125, 0.25]})`)[0].n, 2);
    assert.equal((await sql`SELECT count(*)::int AS n FROM own WHERE device IN ${sql(['d', 'e'])}`)[0].n, 3);
    await sql.begin(async (sql) => {
        await sql`INSERT INTO own (ts, device) VALUES (now(), 'outer')`;
        await sql.savepoint(async (sql) => {
            await sql`INSERT INTO own (ts, device) VALUES (now(), 'inner')`;
            throw new Error('back to the savepoint');
        }).catch(() => {});
    });
    assert.deepStrictEqual((await sql`SELECT DISTINCT device FROM own ORDER BY device`).map((row) => row.device), ['d', 'outer']);
    const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => sql`SELECT ${n}::int AS n`));
    assert.deepStrictEqual(answers.map(([row]) => row.n), [1, 2, 3, 4, 5]);
    await sql.end();
}

async function main() {
    const driver = new Driver();
    driver.sql = connect(plain);
    const failed = await run(driver);
    await driver.sql.end();
    await own();
    process.exit(failed > 0 ? 1 : 0);
}

main().catch((error) => { console.error(error); process.exit(1); });
