//! pg_catalog and information_schema, answered from the live catalog.
