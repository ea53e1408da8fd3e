//! Names of methods, where a client must not choose them.

use http::Method;

/// What a method is called that HTTP has not, as OpenTelemetry has it.
pub const OTHER: &str = "_OTHER";

/// The name of a method that HTTP has; [`OTHER`] of any other.
#[must_use]
pub fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => OTHER,
    }
}
