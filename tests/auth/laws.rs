//! The laws of the signature, for requests of any kind: however a request is
//! written it is the same request, and whatever else it is another.

use http::HeaderMap;
use kootask::auth::signature::SignableRequest;
use proptest::prelude::*;
use proptest::sample::Index;

use super::gate::Gate;
use super::model::{Meaning, meaning, parameter, segment, value};

/// A change to what a request means.
#[derive(Debug, Clone)]
enum Change {
    Method(String),
    AddSegment(Index, Vec<u8>),
    RemoveSegment(Index),
    SegmentByte(Index, Index, u8),
    SwapSegments(Index, Index),
    AddParameter((Vec<u8>, Vec<u8>)),
    RemoveParameter(Index),
    ParameterByte(Index, bool, Index, u8),
    Host(String),
    User(String),
    Extra(String),
    AddToBody(u8),
    BodyByte(Index, u8),
    SwapBodyForNothing,
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        "[A-Z]{1,8}".prop_map(Change::Method),
        (index(), segment()).prop_map(|(i, s)| Change::AddSegment(i, s)),
        index().prop_map(Change::RemoveSegment),
        (index(), index(), 1..=255_u8).prop_map(|(i, j, x)| Change::SegmentByte(i, j, x)),
        (index(), index()).prop_map(|(i, j)| Change::SwapSegments(i, j)),
        parameter().prop_map(Change::AddParameter),
        index().prop_map(Change::RemoveParameter),
        (index(), any::<bool>(), index(), 1..=255_u8)
            .prop_map(|(i, name, j, x)| Change::ParameterByte(i, name, j, x)),
        "[a-z0-9.]{1,12}".prop_map(Change::Host),
        "[A-Za-z0-9_-]{1,64}".prop_map(Change::User),
        value().prop_map(Change::Extra),
        any::<u8>().prop_map(Change::AddToBody),
        (index(), 1..=255_u8).prop_map(|(i, x)| Change::BodyByte(i, x)),
        Just(Change::SwapBodyForNothing),
    ]
}

fn at(bytes: &mut [u8], index: &Index, mask: u8) {
    if !bytes.is_empty() {
        let position = index.index(bytes.len());
        bytes[position] ^= mask;
    }
}

fn altered(meaning: &Meaning, change: &Change) -> Meaning {
    let mut new = meaning.clone();
    let (segments, parameters) = (new.segments.len(), new.parameters.len());
    match change {
        Change::Method(method) => new.method.clone_from(method),
        Change::AddSegment(i, segment) => {
            new.segments.insert(i.index(segments + 1), segment.clone());
        }
        Change::RemoveSegment(i) if segments > 0 => drop(new.segments.remove(i.index(segments))),
        Change::SegmentByte(i, j, x) if segments > 0 => {
            at(&mut new.segments[i.index(segments)], j, *x);
        }
        Change::SwapSegments(i, j) if segments > 0 => {
            new.segments.swap(i.index(segments), j.index(segments));
        }
        Change::AddParameter(parameter) => new.parameters.push(parameter.clone()),
        Change::RemoveParameter(i) if parameters > 0 => {
            drop(new.parameters.remove(i.index(parameters)));
        }
        Change::ParameterByte(i, of_name, j, x) if parameters > 0 => {
            let (name, value) = &mut new.parameters[i.index(parameters)];
            at(if *of_name { name } else { value }, j, *x);
        }
        Change::Host(host) => new.host.clone_from(host),
        Change::User(user) => new.user.clone_from(user),
        Change::Extra(extra) => new.extra.clone_from(extra),
        Change::AddToBody(byte) => new.body.push(*byte),
        Change::BodyByte(i, x) => at(&mut new.body, i, *x),
        Change::SwapBodyForNothing => new.body.clear(),
        _ => {}
    }
    new.parameters.sort();
    new
}

/// The canonical URI and query of these.
fn canonical(path: &str, query: &str) -> (String, String) {
    let request = SignableRequest {
        method: "GET",
        path,
        query,
        host: "h",
        headers: &HeaderMap::new(),
        body_sha256: &[0; 32],
    };
    let canonical = request.canonical("host").unwrap();
    let mut lines = canonical.lines().skip(1).map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap())
}

proptest! {
    #[test]
    fn what_our_signer_signs_our_verifier_takes_however_it_is_written(
        meaning in meaning(), signed in any::<u64>(), sent in any::<u64>(),
    ) {
        let (signed, sent) = (meaning.written(signed), meaning.written(sent));
        prop_assert_eq!(signed.canonical(), sent.canonical());
        let request = sent.request(&signed.authorization());
        let status = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(Gate::new().judge(request));
        prop_assert_eq!(status, 200, "{:?}", sent);
    }

    #[test]
    fn what_means_anything_else_is_refused(
        meaning in meaning(), change in change(), seeds in any::<[u64; 2]>(),
    ) {
        let other = altered(&meaning, &change);
        let relative = |s: &Vec<u8>| s == b"." || s == b"..";
        prop_assume!(other != meaning && !other.segments.iter().any(relative));
        let (signed, sent) = (meaning.written(seeds[0]), other.written(seeds[1]));
        prop_assert_ne!(signed.canonical(), sent.canonical());
        let request = sent.request(&signed.authorization());
        let status = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(Gate::new().judge(request));
        prop_assert_eq!(status, 401, "{:?}", sent);
    }

    #[test]
    fn the_canonical_form_of_the_canonical_form_is_itself(
        path in "(/[ -~é]{0,6}){0,5}", query in "[ -~é&=]{0,20}",
    ) {
        let (uri, parameters) = canonical(&path, &query);
        let again = canonical(&uri, &parameters);
        prop_assert_eq!((uri, parameters), again);
    }

    #[test]
    fn a_canonical_path_has_no_redundant_part_and_only_unreserved_characters(
        path in "(/([.a-c%]|%2[EeFf0-9]|\\.\\.){0,3}){0,6}",
    ) {
        let (uri, _) = canonical(&path, "");
        prop_assert!(uri.starts_with('/') && uri.ends_with('/'), "{}", uri);
        prop_assert!(uri.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%/".contains(&b)));
        let inner = uri.trim_matches('/');
        let redundant = |part| matches!(part, "" | "." | "..");
        prop_assert!(inner.is_empty() || !inner.split('/').any(redundant), "{}", uri);
    }

    #[test]
    fn the_order_of_parameters_does_not_matter(
        parameters in proptest::collection::vec("[a-c]{0,2}(=[a-cA-C]{0,2})?", 0..6)
            .prop_flat_map(|pairs| (Just(pairs.clone()), Just(pairs).prop_shuffle())),
    ) {
        let (ordered, shuffled) = parameters;
        let canonical = |pairs: &[String]| canonical("/", &pairs.join("&")).1;
        prop_assert_eq!(canonical(&ordered), canonical(&shuffled));
    }
}

#[test]
fn upper_case_sorts_first_and_the_same_name_by_value() {
    assert_eq!(
        canonical("/", "b=2&a=1&B=3&b=10&b").1,
        "B=3&a=1&b=&b=10&b=2"
    );
}

#[test]
fn a_plus_is_a_plus_and_a_space_is_a_space() {
    assert_eq!(
        canonical("/a+b", "q=a+b&r=a%20b"),
        ("/a%2Bb/".to_owned(), "q=a%2Bb&r=a%20b".to_owned())
    );
}

#[test]
fn what_is_encoded_twice_stays_encoded_once() {
    assert_eq!(canonical("/%2541/%2F", "a=%2541").0, "/%2541/%2F/");
}
