//! Netlink transport for nf_tables: sockets, batches, dumps and extended acknowledgements.
