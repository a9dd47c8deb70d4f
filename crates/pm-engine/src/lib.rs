//! Composes the parts of pm: the tick, the execution of requests, restore and doctor.
