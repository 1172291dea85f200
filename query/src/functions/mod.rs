//! Time-series functions beside those of DataFusion: one file for each family.
