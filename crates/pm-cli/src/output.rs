//! Everything a user reads.

pub(crate) mod diagnosis;
pub(crate) mod errors;
pub(crate) mod json;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod table;
pub(crate) mod words;
