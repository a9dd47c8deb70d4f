//! What pm keeps on disk: the configuration, the run-time state and the locks.
