//! A tenant's clock: the wall clock, shifted at will, or one that stands still.

use jiff::{SignedDuration, Timestamp};

/// What a tenant's clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantClock {
    /// Always this.
    Frozen(Timestamp),
    /// The wall clock and so much more.
    Ahead(SignedDuration),
}

/// How far it goes on with each create while it stands still, so that ids tell
/// their order.
const STEP: SignedDuration = SignedDuration::from_millis(1);

impl TenantClock {
    /// A clock that stands still at `moment`, or goes with the wall clock.
    #[must_use]
    pub fn new(moment: Option<Timestamp>) -> Self {
        moment.map_or(Self::Ahead(SignedDuration::ZERO), Self::Frozen)
    }

    /// Whether it stands still.
    #[must_use]
    pub const fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen(_))
    }

    /// What it shows when the wall clock shows this, to the millisecond.
    #[must_use]
    pub fn now(self, wall: Timestamp) -> Timestamp {
        let now = match self {
            Self::Frozen(moment) => moment,
            Self::Ahead(by) => wall.checked_add(by).unwrap_or(wall),
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Shows `moment` from now on, and stands still there or goes on from it.
    #[must_use]
    pub fn set(moment: Timestamp, frozen: bool, wall: Timestamp) -> Self {
        if frozen {
            Self::Frozen(moment)
        } else {
            Self::Ahead(moment.duration_since(wall))
        }
    }

    /// Goes ahead.
    #[must_use]
    pub fn advanced(self, by: SignedDuration) -> Self {
        match self {
            Self::Frozen(moment) => Self::Frozen(moment.checked_add(by).unwrap_or(moment)),
            Self::Ahead(ahead) => Self::Ahead(ahead.saturating_add(by)),
        }
    }

    /// What it is after a create.
    #[must_use]
    pub fn after_create(self) -> Self {
        match self {
            Self::Frozen(_) => self.advanced(STEP),
            Self::Ahead(_) => self,
        }
    }
}
