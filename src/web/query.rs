//! Query parameters: each is read, every violation is kept.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::{ApiError, Reason, Violation, Violations};

/// The most values of a parameter that lists some.
pub const MAX_VALUES: usize = 100;

/// The names and values of a query, percent-decoded once (RFC 3986): a `+` is a
/// plus sign. What has no `=` has an empty value.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let decoded = |text| Cow::<[u8]>::from(percent_decode_str(text));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(move |(name, value)| (decoded(name), decoded(value)))
}

/// The parameters of a request; those without a value count as absent.
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    violations: Violations,
}

impl<'a> Query<'a> {
    /// Takes a URI's query apart.
    #[must_use]
    pub fn parse(query: Option<&'a str>) -> Self {
        let pairs = pairs(query.unwrap_or_default());
        Self {
            pairs: pairs
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            violations: Violations::default(),
        }
    }

    /// All values of the parameters whose name `is_meant`.
    fn all(&self, is_meant: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        let meant = self.pairs.iter().filter(move |(name, _)| is_meant(name));
        meant.map(|(_, value)| value.as_ref())
    }

    /// A parameter that may be given once, as `read` reads it.
    pub fn one<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&str) -> Result<T, Reason>,
    ) -> Option<T> {
        let mut values = self.all(|name| name == field);
        let value = values.next()?;
        let read = if values.next().is_some() {
            Err(Reason::Repeated)
        } else {
            read(value)
        };
        drop(values);
        read.map_err(|reason| self.refuse(field, reason)).ok()
    }

    /// A parameter that lists values, separated by commas or given more than
    /// once, each as `read` reads it; `name[]` is another spelling. At most
    /// [`MAX_VALUES`].
    pub fn list<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&str) -> Result<T, Reason>,
    ) -> Vec<T> {
        let read: Result<Vec<T>, Reason> = {
            let mut values = self
                .all(|name| name.strip_suffix("[]").unwrap_or(name) == field)
                .flat_map(|list| list.split(','))
                .filter(|value| !value.is_empty());
            let read = values.by_ref().take(MAX_VALUES).map(read).collect();
            match values.next() {
                Some(_) => Err(Reason::TooManyValues),
                None => read,
            }
        };
        read.unwrap_or_else(|reason| {
            self.refuse(field, reason);
            Vec::new()
        })
    }

    /// Notes that a parameter is wrong.
    pub fn refuse(&mut self, field: &'static str, reason: Reason) {
        self.violations.add(Violation::new(field, reason));
    }

    /// `value`, unless something was wrong.
    ///
    /// # Errors
    ///
    /// [`ApiError::InvalidParameters`] with every violation.
    pub fn finish<T>(self, value: T) -> Result<T, ApiError> {
        if self.violations.is_empty() {
            Ok(value)
        } else {
            Err(ApiError::InvalidParameters(self.violations))
        }
    }
}

/// What is no UTF-8 becomes a text that no parameter can be.
fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(query: &str) -> Option<String> {
        Query::parse(Some(query)).one("a", |text| Ok(text.to_owned()))
    }

    #[test]
    fn a_literal_plus_is_a_plus_and_what_is_encoded_is_decoded_once() {
        assert_eq!(one("a=1+2").as_deref(), Some("1+2"));
        assert_eq!(one("a=1%2B2%20%2525").as_deref(), Some("1+2 %25"));
        assert_eq!(one("%61=1").as_deref(), Some("1"));
    }

    #[test]
    fn a_list_has_a_bounded_number_of_values() {
        let list = |count| {
            let mut query = vec!["1"; count].join(",");
            query.insert_str(0, "a=");
            let mut query = Query::parse(Some(&query));
            let values = query.list("a", |text| Ok(text.to_owned()));
            query.finish(values.len()).ok()
        };
        assert_eq!(list(MAX_VALUES), Some(MAX_VALUES));
        assert_eq!(list(MAX_VALUES + 1), None);
    }
}
