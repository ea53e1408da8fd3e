//! How many connections there may be, in all and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::web::budget::Budget;
use crate::web::peer::{EndOfInput, Peer};

/// The bytes that may be held for clients: in all, for one address and for one
/// connection.
#[derive(Debug, Clone, Copy)]
struct Held {
    in_all: usize,
    by_address: usize,
    by_connection: usize,
}

const MIB: usize = 1024 * 1024;
/// Bodies of which it is not known whose they are. One of the largest that may be
/// configured fits.
const STRANGERS_BODIES: Held = Held {
    in_all: 64 * MIB,
    by_address: 32 * MIB,
    by_connection: 16 * MIB,
};
/// Bodies of callers whose credential was believed, in all.
const CALLERS_BODIES: usize = 128 * MIB;
/// What each connection may have waiting of its answers without any other count than
/// its own: most leave at once. With every place taken that is as much again.
const FREE_ANSWERS: usize = 4 * 1024;
/// Answers. Beyond it no further request is begun.
const ANSWERS: Held = Held {
    in_all: 64 * MIB,
    by_address: 32 * MIB,
    by_connection: MIB / 4,
};

/// The places for connections. One address may have half of them; the last
/// sixteenth is for addresses that have few.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    state: Mutex<State>,
    strangers_bodies: Budget,
    callers_bodies: Budget,
    answers: Budget,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    addresses: HashMap<IpAddr, Address>,
}

/// What an address has.
#[derive(Debug)]
struct Address {
    connections: usize,
    strangers_bodies: Budget,
    answers: Budget,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::default(),
            strangers_bodies: Budget::new(STRANGERS_BODIES.in_all),
            callers_bodies: Budget::new(CALLERS_BODIES),
            answers: Budget::new(ANSWERS.in_all),
        }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn take(self: &Arc<Self>, address: SocketAddr) -> Option<(Place, Peer)> {
        let network = network(address.ip());
        let mut state = self.state();
        let taken = state.taken;
        let entry = state.addresses.entry(network).or_insert_with(|| Address {
            connections: 0,
            strangers_bodies: self.strangers_bodies.share(STRANGERS_BODIES.by_address),
            answers: self.answers.share(ANSWERS.by_address),
        });
        if !self.has_room(taken, entry.connections) {
            if entry.connections == 0 {
                state.addresses.remove(&network);
            }
            return None;
        }
        entry.connections = entry.connections.saturating_add(1);
        let peer = Peer {
            address,
            name: address.to_string().into(),
            strangers_bodies: entry.strangers_bodies.share(STRANGERS_BODIES.by_connection),
            callers_bodies: self.callers_bodies.clone(),
            answers: entry
                .answers
                .share_beyond(FREE_ANSWERS, ANSWERS.by_connection),
            end: EndOfInput::default(),
        };
        state.taken = taken.saturating_add(1);
        let place = Place {
            places: Arc::clone(self),
            network,
        };
        Some((place, peer))
    }

    /// Whether an address that has `of_address` connections may have one more
    /// while there are `taken`.
    const fn has_room(&self, taken: usize, of_address: usize) -> bool {
        let reserve = self.most / 16;
        let few = self.most / 256;
        taken < self.most
            && of_address < self.most.div_ceil(2)
            && (of_address <= few || taken < self.most.saturating_sub(reserve))
    }

    /// Whether there are so many connections that idle ones are in the way.
    pub(super) fn is_crowded(&self) -> bool {
        self.taken() >= self.most.saturating_sub(self.most / 4)
    }

    /// The connections there are.
    pub(super) fn taken(&self) -> usize {
        self.state().taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    network: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.taken = state.taken.saturating_sub(1);
        if let Some(address) = state.addresses.get_mut(&self.network) {
            address.connections = address.connections.saturating_sub(1);
            if address.connections == 0 {
                state.addresses.remove(&self.network);
            }
        }
    }
}

/// What counts as one address: of IPv6 a network of 64 bits, for a client has as
/// many addresses of it as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Arc<Places>, ip: &str) -> Option<Place> {
        let address = SocketAddr::new(ip.parse().unwrap(), 4711);
        places.take(address).map(|(place, _)| place)
    }

    #[test]
    fn one_address_has_at_most_half_and_others_are_let_in() {
        let places = Arc::new(Places::new(1024));
        let of_one: Vec<_> = (0..1024).map_while(|_| take(&places, "10.0.0.1")).collect();
        assert_eq!(of_one.len(), 512);
        assert!(take(&places, "10.0.0.2").is_some());
        drop(of_one);
        assert_eq!(places.taken(), 0);
        assert!(places.state().addresses.is_empty());
    }

    #[test]
    fn the_last_places_are_for_addresses_that_have_few() {
        let places = Arc::new(Places::new(1024));
        let mut taken: Vec<_> = (0..512).map_while(|_| take(&places, "10.0.0.1")).collect();
        taken.extend((0..512).map_while(|_| take(&places, "10.0.0.2")));
        assert_eq!(taken.len(), 1024 - 64);
        taken.push(take(&places, "10.0.0.3").unwrap());
        assert!(take(&places, "10.0.0.2").is_none());
        let rest: Vec<_> = (4..=255)
            .map_while(|host| take(&places, &format!("10.0.0.{host}")))
            .collect();
        assert_eq!(taken.len() + rest.len(), 1024);
        assert!(take(&places, "10.0.1.1").is_none());
        drop(taken);
        assert!(take(&places, "10.0.1.1").is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_ipv4_address_its_own() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
