//! Which route a path is of, for those who tell of requests.

use matchit::Router;

/// What there is to each route. A client's path chooses among these, and names none.
pub struct Routes<T>(Router<T>);

impl<T> Routes<T> {
    /// For these paths, as templates; `of` makes what there is to one.
    pub fn new(
        paths: impl IntoIterator<Item = &'static str>,
        of: impl Fn(&'static str) -> T,
    ) -> Self {
        let mut routes = Router::new();
        for path in paths {
            // Two calls can share a path. One that cannot be inserted counts as
            // unmatched; the router of the service would not start with it.
            let _ = routes.insert(path, of(path));
        }
        Self(routes)
    }

    /// What there is to the route of this path, if it is one's.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&T> {
        self.0.at(path).ok().map(|found| found.value)
    }
}
