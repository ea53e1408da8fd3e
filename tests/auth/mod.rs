//! Who may call: signatures, bearer tokens, and the layer that asks for them.

mod bearer;
mod credential;
mod gate;
mod jwt;
mod laws;
mod model;
mod signature;
mod signature_header;
