//! SELECT: from a parsed query to record batches, on DataFusion.
