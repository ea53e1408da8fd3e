//! Numbers, sizes and switches.

use std::num::NonZero;

use bytesize::ByteSize;

use super::{Form, Value, Wrong, parse};

impl Value for u16 {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = "a whole number";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::from(*self).into()
    }
}

impl Value for u32 {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = u16::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::from(*self).into()
    }
}

impl Value for NonZero<u32> {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = u16::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::from(self.get()).into()
    }
}

impl Value for bool {
    const FORM: Form = Form::Boolean;
    const WANTED: &'static str = "true or false";
    const IS_OPEN: bool = false;

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        (*self).into()
    }
}

impl Value for ByteSize {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = "a size in bytes or with a unit";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::try_from(self.as_u64()).unwrap_or(i64::MAX).into()
    }
}
