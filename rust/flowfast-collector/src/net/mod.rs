//! UDP sockets: binding, steering, receiving.

pub(crate) mod recv;
pub(crate) mod socket;
pub(crate) mod steer;
pub(crate) mod sys;
