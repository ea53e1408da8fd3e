//! Where a request came from before it came to a proxy, as that says: for the log
//! alone. It decides nothing, for a proxy that is not set up well lets anybody say it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies whose word is taken. Where there are none a clone costs
/// nothing, for each request makes one.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Option<Arc<[IpNet]>>);

impl From<Arc<[IpNet]>> for TrustedProxies {
    fn from(networks: Arc<[IpNet]>) -> Self {
        Self((!networks.is_empty()).then_some(networks))
    }
}

impl TrustedProxies {
    /// Who has sent a request that `peer` has handed over: the right-most hop that is
    /// no trusted proxy. `None`, if as far as it is known that is `peer` itself. Hops are
    /// those of `X-Forwarded-For` or, where there is none, of `Forwarded` (RFC 7239).
    #[must_use]
    pub fn sender(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trust(peer.ip()) {
            return None;
        }
        let mut sender = None;
        for hop in hops(headers) {
            // What is left of one that says nothing may be anybody's word.
            let Some(hop) = hop else { break };
            sender = Some(hop);
            if !self.trust(hop) {
                break;
            }
        }
        sender
    }

    fn trust(&self, address: IpAddr) -> bool {
        let Some(networks) = &self.0 else {
            return false;
        };
        let address = address.to_canonical();
        networks.iter().any(|network| network.contains(&address))
    }
}

/// The addresses of the hops, the nearest first; `None` for one that has none.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let is_forwarded = !headers.contains_key(&X_FORWARDED_FOR);
    let name = if is_forwarded {
        FORWARDED
    } else {
        X_FORWARDED_FOR
    };
    let values = headers.get_all(name).iter().rev();
    values.flat_map(move |value| {
        let hops = value.to_str().ok().and_then(|text| parts(text, ','));
        // What cannot be taken apart is a hop that says nothing.
        let hops = hops.unwrap_or_else(|| vec![""]).into_iter().rev();
        hops.map(move |hop| {
            let node = if is_forwarded {
                for_parameter(hop)?
            } else {
                hop
            };
            address(node.trim())
        })
    })
}

/// The parameter `for` of an element of `Forwarded`.
fn for_parameter(element: &str) -> Option<&str> {
    let parameters = parts(element, ';')?.into_iter();
    let mut parameters = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Some(unquoted.unwrap_or(value))
}

/// The parts between the delimiters that stand outside of quotation marks; `None` where
/// one of those is not closed: what a client has opened would swallow a proxy's word.
fn parts(text: &str, delimiter: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_end = |char| {
        if char == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && char == '\\' && !is_escaped;
        char == delimiter && !is_quoted
    };
    let parts = text.split(is_end).collect();
    (!is_quoted).then_some(parts)
}

/// The address of a hop, which may have a port.
fn address(node: &str) -> Option<IpAddr> {
    let bracketed = node
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let bare = bracketed.unwrap_or(node).parse();
    bare.or_else(|_| node.parse().map(|address: SocketAddr| address.ip()))
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.9:4711";

    fn proxies() -> TrustedProxies {
        let networks = ["10.0.0.0/8", "fd00::/8"];
        let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
        TrustedProxies::from(Arc::from(networks))
    }

    /// Who has sent a request of this peer with these headers.
    fn sender(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        let sender = proxies().sender(peer.parse().unwrap(), &headers.collect());
        sender.map_or_else(|| peer.to_owned(), |address| address.to_string())
    }

    #[test]
    fn it_is_the_right_most_hop_that_is_no_trusted_proxy() {
        for (hops, expected) in [
            ("1.1.1.1", "1.1.1.1"),
            ("6.6.6.6, 1.1.1.1", "1.1.1.1"),
            ("6.6.6.6, 1.1.1.1, 10.1.2.3,fd00::1", "1.1.1.1"),
            ("1.1.1.1:80, ::ffff:10.1.2.3", "1.1.1.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            // What is no address tells nothing of what is left of it.
            ("6.6.6.6, unknown, 10.2.2.2", "10.2.2.2"),
            ("6.6.6.6, unknown", PROXY),
            ("", PROXY),
        ] {
            assert_eq!(
                sender(PROXY, &[("x-forwarded-for", hops)]),
                expected,
                "{hops}"
            );
        }
        assert_eq!(sender(PROXY, &[]), PROXY);
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "1.1.1.1"),
        ];
        assert_eq!(sender(PROXY, &lines), "1.1.1.1");
    }

    #[test]
    fn forwarded_says_it_where_x_forwarded_for_does_not() {
        for (elements, expected) in [
            ("for=1.1.1.1", "1.1.1.1"),
            ("for=6.6.6.6, For=\"1.1.1.1:80\";proto=https", "1.1.1.1"),
            (
                "proto=http;for=\"[2001:db8::1]\", for=10.1.1.1",
                "2001:db8::1",
            ),
            ("for=6.6.6.6, for=_hidden", PROXY),
            ("for=6.6.6.6, proto=http", PROXY),
            // Within quotation marks nothing is what it looks like.
            ("for=1.1.1.1;host=\"a, for=6.6.6.6\"", "1.1.1.1"),
            ("host=\"a;for=6.6.6.6;\\\"\";for=1.1.1.1", "1.1.1.1"),
            ("for=\"6.6.6.6, for=1.1.1.1", PROXY),
            ("for=6.6.6.6;by=\", for=1.1.1.1", PROXY),
            ("for=6.6.6.6;by=\", for=\"1.1.1.1:80\"", PROXY),
        ] {
            assert_eq!(
                sender(PROXY, &[("forwarded", elements)]),
                expected,
                "{elements}"
            );
        }
        let both = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(sender(PROXY, &both), "1.1.1.1");
    }

    #[test]
    fn who_is_no_trusted_proxy_is_the_sender_whatever_it_says() {
        let stranger = "1.1.1.1:4711";
        for name in ["x-forwarded-for", "forwarded"] {
            assert_eq!(sender(stranger, &[(name, "for=6.6.6.6")]), stranger);
        }
        let mapped = "[::ffff:10.0.0.9]:4711";
        assert_eq!(sender(mapped, &[("x-forwarded-for", "1.1.1.1")]), "1.1.1.1");
    }

    proptest! {
        #[test]
        fn what_a_client_writes_left_of_a_trusted_proxys_word_is_not_believed(
            header in prop::sample::select(vec!["x-forwarded-for", "forwarded"]),
            written in "(for|by|host|=|;|,| |\"|\\\\|6\\.6\\.6\\.6|10\\.0\\.0\\.1|[ -~]){0,16}",
            forwarded in prop::sample::select(vec!["for=1.1.1.1", "by=a;for=\"1.1.1.1:80\";host=\"b\""]),
        ) {
            let proxys = if header == "forwarded" { forwarded } else { "1.1.1.1" };
            let all = sender(PROXY, &[(header, &format!("{written}, {proxys}"))]);
            prop_assert!(["1.1.1.1", PROXY].contains(&&*all), "{}", all);
            let in_two = sender(PROXY, &[(header, &written), (header, proxys)]);
            prop_assert_eq!(in_two, "1.1.1.1");
        }
    }
}
