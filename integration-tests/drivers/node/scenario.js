// Runs the scenario (../../scenario.yaml, as JSON by ../python/scenario.py) with a driver, and compares. usage: run_DRIVER.js PORT SERVER JSON
// A driver has: name, key, canNot (kind of step, type, value or name of a step -> reason), sqlstate(error), execute(step) -> { rows, names, oids, count },
// and batch, pipeline, copy_in, copy_out, fetch, cancel where it can.
const fs = require('node:fs');
const { isDeepStrictEqual, inspect } = require('node:util');

const KINDS = ['batch', 'pipeline', 'copy_in', 'copy_out', 'fetch', 'cancel'];
const OIDS = {
    bool: 16, bytea: 17, name: 19, int8: 20, int2: 21, int4: 23, text: 25, json: 114, float4: 700, float8: 701, bpchar: 1042, varchar: 1043,
    date: 1082, time: 1083, timestamp: 1114, timestamptz: 1184, interval: 1186, numeric: 1700, uuid: 2950, jsonb: 3802,
    'bool[]': 1000, 'bytea[]': 1001, 'int2[]': 1005, 'int4[]': 1007, 'text[]': 1009, 'varchar[]': 1015, 'int8[]': 1016, 'float4[]': 1021,
    'float8[]': 1022, 'timestamp[]': 1115, 'date[]': 1182, 'time[]': 1183, 'timestamptz[]': 1185, 'interval[]': 1187, 'numeric[]': 1231,
    'json[]': 199, 'uuid[]': 2951, 'jsonb[]': 3807,
};

// What a driver may lack that a step asks for.
function asksFor(step) {
    const types = [...(step.params ?? []).map(([type]) => type), ...(step.types ?? []), ...(step.columns ?? [])];
    const values = (step.params ?? []).filter(([, value]) => typeof value === 'string').map(([type, value]) => `${type} ${value}`);
    return [...KINDS.filter((kind) => kind in step), ...types, ...values, step.needs, step.name];
}

// Equal for equal values of the type. Drivers here are told to leave text as it is where JavaScript has no type of its own.
function comparable(type, value) {
    if (value === null || value === undefined) return null;
    if (type.endsWith('[]')) return value.map((element) => comparable(type.slice(0, -2), element));
    switch (type) {
        case 'bool': return value === true || value === 't';
        case 'int2': case 'int4': case 'float4': case 'float8': {
            const number = Number(value);
            return Number.isNaN(number) ? 'NaN' : type === 'float4' ? Math.fround(number) : number;
        }
        case 'bytea': return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value;
        case 'json': case 'jsonb': return typeof value === 'string' ? JSON.parse(value) : value;
        case 'timestamptz': return value instanceof Date ? value.toISOString() : new Date(value.replace('+00', 'Z').replace(' ', 'T')).toISOString();
        case 'bpchar': return value.trimEnd();
        case 'interval': return microseconds(value);
        default: return value;
    }
}

// An interval without months, as text or as node-postgres gives it.
function microseconds(value) {
    if (typeof value !== 'string') value = value.toPostgres();
    if (/[a-z]/.test(value) && !value.includes(':')) {
        const of = (unit) => Number((value.match(new RegExp(`(-?[\\d.]+) ${unit}`)) ?? [0, 0])[1]);
        return Math.round((of('day') * 86400 + of('hour') * 3600 + of('minute') * 60 + of('second')) * 1e6);
    }
    const [, days, sign, hours, minutes, seconds] = value.match(/^(?:(-?\d+) days? )?([+-]?)(\d+):(\d+):([\d.]+)$/);
    const clock = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
    return Math.round(((Number(days ?? 0) * 86400) + (sign === '-' ? -clock : clock)) * 1e6);
}

function must(found, wanted, what) {
    if (!isDeepStrictEqual(found, wanted)) {
        throw new Error(`${what}\n  wanted ${inspect(wanted, { depth: 9, breakLength: Infinity })}\n  found  ${inspect(found, { depth: 9, breakLength: Infinity })}`);
    }
}

function check(step, result) {
    if ('count' in step && 'count' in result) must(result.count, step.count, 'rows affected');
    if ('rows' in step) {
        const compare = (rows) => rows.map((row) => row.map((value, i) => comparable(step.columns[i], value)));
        must(compare(result.rows), compare(step.rows), 'rows');
        if (result.oids) must(result.oids, step.columns.map((type) => OIDS[type]), 'types');
    }
    if ('names' in step && result.names) must(result.names, step.names, 'names');
}

async function perform(driver, step) {
    const action = KINDS.find((kind) => kind in step) ?? 'execute';
    let failures = 'may_fail_once' in step ? 1 : 0;
    for (let i = (step.repeat ?? 1) + failures; i > 0; i--) {
        let result;
        try {
            result = await driver[action](step);
        } catch (error) {
            const state = driver.sqlstate(error);
            if (failures && state === step.may_fail_once) { failures--; continue; }
            if (!state || state !== step.error) throw error;
            continue;
        }
        if (step.error) throw new Error(`no error, but ${step.error} is expected`);
        if (action === 'copy_out') must(result, step.copy_out, 'data');
        else check(step, result);
    }
}

async function run(driver) {
    const [server, path] = process.argv.slice(3);
    const steps = JSON.parse(fs.readFileSync(path, 'utf8'));
    let failed = 0, leftOut = 0;
    for (const step of steps) {
        const text = `${step.name ?? step.sql ?? step.pipeline} ${step.sql?.includes('CAST($1') ? JSON.stringify(step.params[0][1]) : ''}`.replace(/\s+/g, ' ').slice(0, 160);
        const lacking = asksFor(step).find((what) => what in driver.canNot);
        if (lacking !== undefined) {
            leftOut++;
            console.log(`${driver.name}: left out: ${text}: ${driver.canNot[lacking]}`);
            continue;
        }
        const mark = server === 'taospg' && !step.right_by?.includes(driver.key) && step.wrong;
        try {
            await perform(driver, step);
            if (mark) {
                failed++;
                console.log(`${driver.name}: ${text}: comes out right now: take away its mark (${mark})`);
            }
        } catch (error) {
            if (mark) continue;
            failed++;
            console.log(`${driver.name}: ${text}: ${driver.sqlstate(error) ?? ''} ${error.message}`);
        }
    }
    console.log(`${driver.name}: ${steps.length - failed - leftOut} steps as written, ${leftOut} left out, ${failed} not`);
    return failed;
}

// Text of an array, for drivers that take it as such.
function arrayText(values) {
    const quoted = (value) => value === null ? 'NULL' : `"${value.replace(/(["\\])/g, '\\$1')}"`;
    return `{${values.map(quoted).join(',')}}`;
}

module.exports = { run, arrayText };
