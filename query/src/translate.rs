//! Catalog nouns into storage nouns: the one place that knows both.

use taospg_catalog as catalog;
use taospg_storage as storage;

/// A database's settings as its vnodes take them.
pub fn vnode_options(options: &catalog::DatabaseOptions) -> storage::VnodeOptions {
    storage::VnodeOptions {
        group_span: options.group_span_ms * (options.precision.units_per_second() / 1_000),
        update: match options.update {
            catalog::UpdateMode::KeepFirst => storage::UpdateMode::KeepFirst,
            catalog::UpdateMode::ReplaceRow => storage::UpdateMode::ReplaceRow,
            catalog::UpdateMode::MergeColumns => storage::UpdateMode::MergeColumns,
        },
        compression: match options.compression {
            0 => storage::Compression::None,
            1 => storage::Compression::Fast,
            _ => storage::Compression::High,
        },
        flush_interval_ms: options.flush_interval_ms,
        block_rows_max: options.block_rows_max as usize,
    }
}
