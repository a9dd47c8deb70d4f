//! The rules of pm, a per-port traffic manager, without any I/O.
