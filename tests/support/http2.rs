//! Frames of HTTP/2 as bytes (RFC 9113), for what no client would send.

use kootask::auth::x_date;

use super::client::USER;

/// What a client begins with: the preface and its settings.
pub fn preface(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &frame(4, 0, 0, &payload)[..],
    ]
    .concat()
}

/// The setting of a stream's first window.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame of this type, with these flags, of this stream.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request without a body, with the headers that are always needed.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(1, 0x5, stream, &fields("GET", path, &[]))
}

/// The head of a request whose body follows.
pub fn post_head(stream: u32, path: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    frame(1, 0x4, stream, &fields("POST", path, extra))
}

/// A part of a request's body.
pub fn data(stream: u32, bytes: &[u8], is_last: bool) -> Vec<u8> {
    frame(0, u8::from(is_last), stream, bytes)
}

/// Trailers.
pub fn trailers(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, &field("x-trailer", "1"))
}

/// A question whether the other side is there.
pub fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[7; 8])
}

fn fields(method: &str, path: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    let date = x_date::format(jiff::Timestamp::now());
    let pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("x-user-id", USER),
        ("x-date", &date),
    ];
    let all = pseudo.iter().chain(extra);
    all.flat_map(|(name, value)| field(name, value)).collect()
}

/// A header as a literal that is not indexed (RFC 7541, 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    assert!(name.len() < 127 && value.len() < 127);
    [vec![0], text(name), text(value)].concat()
}

/// The frames of a connection's bytes so far: type, flags, stream.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
        let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
        frames.push((*kind, *flags, stream));
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}
