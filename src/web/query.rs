//! Query parameters: each judged, every violation kept.

use std::borrow::Cow;

use super::error::{ApiError, Reason, Violation};

/// The parameters of a request; those without a value count as absent.
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    violations: Vec<Violation>,
}

impl<'a> Query<'a> {
    /// Takes a URI's query apart.
    pub fn parse(query: Option<&'a str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self {
            pairs: pairs.filter(|(_, value)| !value.is_empty()).collect(),
            violations: Vec::new(),
        }
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = self.pairs.iter().filter(move |(other, _)| other == name);
        of_name.map(|(_, value)| value.as_ref())
    }

    /// A parameter that may be given once, as `read` reads it.
    pub fn one<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&str) -> Result<T, Reason>,
    ) -> Option<T> {
        let mut values = self.all(field);
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
    /// once, each as `read` reads it.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&str) -> Result<T, Reason>,
    ) -> Vec<T> {
        let values = self.all(field).flat_map(|list| list.split(','));
        let values = values.filter(|value| !value.is_empty()).map(read);
        values.collect::<Result<_, _>>().unwrap_or_else(|reason| {
            self.refuse(field, reason);
            Vec::new()
        })
    }

    /// Notes that a parameter is wrong.
    pub fn refuse(&mut self, field: &'static str, reason: Reason) {
        self.violations.push(Violation::new(field, reason));
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
