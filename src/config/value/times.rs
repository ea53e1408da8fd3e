//! Durations and moments.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Form, Value, Wrong, parse};

impl Value for SignedDuration {
    const WANTED: &'static str = "a duration with its unit";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        format!("{self:#}").into()
    }
}

impl Value for Duration {
    const WANTED: &'static str = SignedDuration::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        Self::try_from(SignedDuration::read(text)?).map_err(|_| Wrong::Form)
    }

    fn written(&self) -> toml::Value {
        SignedDuration::try_from(*self)
            .unwrap_or(SignedDuration::MAX)
            .written()
    }
}

impl Value for Timestamp {
    const FORM: Form = Form::Moment;
    const WANTED: &'static str = "a moment with its offset from UTC";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        self.to_string().into()
    }
}
