//! TSBS devops: nine measurements of every host, 101 fields in all. Tags that TSBS gives to one measurement only (a disk's path, a server's
//! port) follow the host's own.

use super::cpu::{HOST_TAGS, cpu, host_tags};
use super::{DataSet, Field, Law, Start, Step, Table, field, text_tags};
use crate::random::Random;

pub fn data_set() -> DataSet {
    DataSet {
        name: "devops",
        device_prefix: "host_",
        step_micros: 10_000_000,
        tables: vec![
            cpu(),
            diskio(),
            disk(),
            kernel(),
            mem(),
            net(),
            nginx(),
            postgresl(),
            redis(),
        ],
        is_lossy: false,
    }
}

fn counter(mean: f64) -> Law {
    Law::Counter {
        step: Step::Normal(mean, 1.0),
    }
}

fn clamped(mean: f64, high: f64, start: f64) -> Law {
    Law::Clamped {
        step: Step::Normal(mean, 1.0),
        low: 0.0,
        high,
        start: Start::At(start),
    }
}

fn table(
    name: &'static str,
    fields: Vec<Field>,
    own_tags: &[&'static str],
    tag_values: fn(u32, &mut Random) -> Vec<String>,
) -> Table {
    let tags: Vec<&'static str> = HOST_TAGS.iter().chain(own_tags).copied().collect();
    Table {
        name,
        fields,
        tags: text_tags(&tags),
        tag_values,
    }
}

fn fields_of(law: Law, names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| field(name, law)).collect()
}

fn diskio() -> Table {
    let mut fields = fields_of(counter(50.0), &["reads", "writes"]);
    fields.extend(fields_of(counter(100.0), &["read_bytes", "write_bytes"]));
    fields.extend(fields_of(counter(5.0), &["read_time", "write_time", "io_time"]));
    table("diskio", fields, &["serial"], |host, random| {
        let mut tags = host_tags(host, random);
        let mut group = || 100 + random.below(900);
        tags.push(format!("{}-{}-{}", group(), group(), group()));
        tags
    })
}

const DISK_TOTAL: f64 = (1_u64 << 40) as f64;
/// Bytes that TSBS reckons for one inode.
const INODE_BYTES: f64 = 4_096.0;

/// States: total, free, and the rest computed from these two.
fn disk() -> Table {
    let free = Law::Clamped {
        step: Step::Normal(50.0, 1.0),
        low: 0.0,
        high: DISK_TOTAL,
        start: Start::At(DISK_TOTAL / 2.0),
    };
    let fields = vec![
        field("total", Law::Constant(Start::At(DISK_TOTAL))),
        field("free", free),
        field("used", Law::Derived(|disk| disk[0] - disk[1].trunc())),
        field(
            "used_percent",
            Law::Derived(|disk| 100.0 * (disk[0] - disk[1]) / disk[0]),
        ),
        field("inodes_total", Law::Derived(|disk| disk[0] / INODE_BYTES)),
        field("inodes_free", Law::Derived(|disk| disk[1] / INODE_BYTES)),
        field("inodes_used", Law::Derived(|disk| (disk[0] - disk[1]) / INODE_BYTES)),
    ];
    table("disk", fields, &["path", "fstype"], |host, random| {
        let mut tags = host_tags(host, random);
        tags.push(format!("/dev/sda{}", random.below(10)));
        tags.push((*random.pick(&["ext3", "ext4", "btrfs"])).to_owned());
        tags
    })
}

fn kernel() -> Table {
    let mut fields = vec![field("boot_time", Law::Constant(Start::Below(240.0)))];
    fields.extend(fields_of(
        counter(5.0),
        &[
            "interrupts",
            "context_switches",
            "processes_forked",
            "disk_pages_in",
            "disk_pages_out",
        ],
    ));
    table("kernel", fields, &[], host_tags)
}

const GIB: f64 = (1_u64 << 30) as f64;
/// Digits that stand for "all digits of a double": 100 % in these units still is a whole double.
const PERCENT_DECIMALS: u32 = 10;

/// Used, cached and buffered memory are walks of shares by a 64th of the total.
fn mem() -> Table {
    let share = Law::Share {
        of: 0,
        step: Step::Normal(0.0, 1.0 / 64.0),
    };
    let percent = |name: &str, compute: fn(&[f64]) -> f64| Field {
        decimals: PERCENT_DECIMALS,
        ..field(name, Law::Derived(compute))
    };
    let fields = vec![
        field(
            "total",
            Law::Constant(Start::OneOf(&[8.0 * GIB, 12.0 * GIB, 16.0 * GIB])),
        ),
        field("available", Law::Derived(|mem| mem[0] * (1.0 - mem[2]))),
        field("used", share),
        field("free", Law::Derived(|mem| mem[0] * (1.0 - mem[2]))),
        field("cached", share),
        field("buffered", share),
        percent("used_percent", |mem| 100.0 * mem[2]),
        percent("available_percent", |mem| 100.0 * (1.0 - mem[2])),
        percent("buffered_percent", |mem| 100.0 * mem[5]),
    ];
    table("mem", fields, &[], host_tags)
}

fn net() -> Table {
    let mut fields = fields_of(
        counter(50.0),
        &["bytes_sent", "bytes_recv", "packets_sent", "packets_recv"],
    );
    fields.extend(fields_of(counter(5.0), &["err_in", "err_out", "drop_in", "drop_out"]));
    table("net", fields, &["interface"], |host, random| {
        let mut tags = host_tags(host, random);
        tags.push(format!("eth{}", random.below(4)));
        tags
    })
}

fn nginx() -> Table {
    let mut fields = fields_of(counter(5.0), &["accepts", "handled", "requests"]);
    fields.extend(fields_of(
        clamped(5.0, 100.0, 0.0),
        &["active", "reading", "waiting", "writing"],
    ));
    table("nginx", fields, &["port", "server"], |host, random| {
        let mut tags = host_tags(host, random);
        tags.push((1_024 + random.below(20_000)).to_string());
        tags.push(format!("nginx_{}", random.below(100_000)));
        tags
    })
}

fn postgresl() -> Table {
    let mut fields = fields_of(
        clamped(5.0, 1_000.0, 0.0),
        &[
            "numbackends",
            "xact_commit",
            "xact_rollback",
            "blks_read",
            "blks_hit",
            "tup_returned",
            "tup_fetched",
            "tup_inserted",
            "tup_updated",
            "tup_deleted",
            "conflicts",
            "temp_files",
            "deadlocks",
            "blk_read_time",
            "blk_write_time",
        ],
    );
    fields.push(field("temp_bytes", clamped(1_024.0, GIB, 0.0)));
    table("postgresl", fields, &[], host_tags)
}

fn redis() -> Table {
    let mut fields = vec![
        field("uptime_in_seconds", Law::Clock { seconds: 10.0 }),
        field("total_connections_received", counter(5.0)),
    ];
    fields.extend(fields_of(
        counter(50.0),
        &["expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses"],
    ));
    fields.extend(fields_of(
        Law::Walk {
            step: Step::Normal(1.0, 1.0),
        },
        &[
            "instantaneous_ops_per_sec",
            "instantaneous_input_kbps",
            "instantaneous_output_kbps",
        ],
    ));
    fields.extend(fields_of(
        clamped(50.0, 10_000.0, 0.0),
        &["connected_clients", "rdb_changes_since_last_save"],
    ));
    fields.extend(fields_of(
        clamped(50.0, 16.0 * GIB, 8.0 * GIB),
        &["used_memory", "used_memory_rss", "used_memory_peak", "used_memory_lua"],
    ));
    fields.extend(fields_of(
        clamped(5.0, 1_000.0, 0.0),
        &[
            "sync_full",
            "sync_partial_ok",
            "sync_partial_err",
            "pubsub_channels",
            "pubsub_patterns",
            "latest_fork_usec",
            "connected_slaves",
            "master_repl_offset",
            "repl_backlog_active",
            "repl_backlog_size",
            "repl_backlog_histlen",
            "used_cpu_sys",
            "used_cpu_user",
            "used_cpu_sys_children",
            "used_cpu_user_children",
        ],
    ));
    fields.push(field("mem_fragmentation_ratio", clamped(5.0, 100.0, 0.0)));
    table("redis", fields, &["port", "server"], |host, random| {
        let mut tags = host_tags(host, random);
        tags.push((1_024 + random.below(20_000)).to_string());
        tags.push(format!("redis_{}", random.below(100_000)));
        tags
    })
}
