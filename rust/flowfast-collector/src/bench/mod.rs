//! How fast decoding is: one thread, in memory, nothing received and nothing written (`flowfast bench decode`).

mod decode;
mod load;

pub use decode::{DecodeBench, DecodeFigures};
pub use load::{GeneratedLoad, Load};

#[cfg(test)]
mod tests;
