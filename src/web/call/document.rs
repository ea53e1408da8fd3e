//! The OpenAPI 3.1 document of lists of calls.

use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, PathItem, Paths, PathsBuilder,
};
use utoipa::openapi::security::{SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{Components, Info, OpenApi, OpenApiBuilder, Ref};

use super::response::Errors;
use super::{Access, Call, Calls, parameter, response, schema};
use crate::web::error::ApiError;

/// What an [`Access`] asks of a request, and how it refuses one.
#[derive(Default)]
pub struct Requirements {
    /// The credentials by name, one of which must be good; no credential is
    /// needed if there are none.
    pub credentials: Vec<(&'static str, SecurityScheme)>,
    /// The headers that a request carries beside its credential.
    pub headers: Vec<Parameter>,
    /// The kinds of errors that a request can be refused with.
    pub errors: Vec<ApiError>,
}

impl Requirements {
    /// An entry for each credential. None at all says that a call needs none.
    fn security(&self) -> Vec<SecurityRequirement> {
        let names = self.credentials.iter().map(|(name, _)| *name);
        names
            .map(|name| SecurityRequirement::new(name, std::iter::empty::<String>()))
            .collect()
    }
}

/// A document to which lists of calls are added.
pub struct Document {
    info: Info,
    /// Said once for the whole document; other calls say their own.
    usual: Access,
    requirements: fn(Access) -> Requirements,
    paths: Paths,
    tags: Vec<Tag>,
    components: Components,
    errors: Errors,
}

impl Document {
    /// A document without calls. Most of those to come have the access `usual`;
    /// `requirements` tells what each asks for.
    #[must_use]
    pub fn new(info: Info, usual: Access, requirements: fn(Access) -> Requirements) -> Self {
        let mut components = Components::new();
        components.schemas.extend(schema::of_errors());
        components.headers.extend(response::headers());
        Self {
            info,
            usual,
            requirements,
            paths: PathsBuilder::new().build(),
            tags: Vec::new(),
            components,
            errors: Errors::default(),
        }
    }

    /// Adds the calls of a list.
    #[must_use]
    pub fn with<S>(mut self, calls: Calls<S>) -> Self {
        for (tag, call) in calls.calls {
            if self.tags.iter().all(|known| known.name != tag) {
                self.tags.push(TagBuilder::new().name(tag).build());
            }
            self.add(tag, call);
        }
        self
    }

    fn add<S>(&mut self, tag: &str, call: Call<S>) {
        let requirements = (self.requirements)(call.access);
        let path = call.path;
        let method = call.description.method.clone();
        let operation = self.operation(tag, call, &requirements);
        self.paths
            .paths
            .entry(path.to_owned())
            .or_default()
            .merge_operations(PathItem::new(method, operation));
        for (name, scheme) in requirements.credentials {
            self.components.add_security_scheme(name, scheme);
        }
    }

    /// The operation, whose shared parts go to the components.
    fn operation<S>(&mut self, tag: &str, call: Call<S>, asked: &Requirements) -> Operation {
        let description = call.description;
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .operation_id(Some(description.id))
            .summary(Some(description.summary))
            .description(Some(description.text))
            .request_body(description.body)
            .parameters(Some(description.parameters));
        for header in asked
            .headers
            .iter()
            .cloned()
            .chain(parameter::of_every_call())
        {
            let reference = Ref::new(format!("#/components/parameters/{}", header.name));
            operation = operation.parameter_ref(reference);
            let parameters = &mut self.components.parameters;
            parameters.insert(header.name.clone(), header.into());
        }
        let own = description.errors.iter().chain(&asked.errors);
        for error in own.chain(&response::errors_of_every_call()) {
            self.errors.add(error);
            operation = operation.response(error.status().as_str(), response::reference(error));
        }
        for (status, answer) in description.answers {
            operation = operation.response(status, answer.build());
        }
        self.components.schemas.extend(description.schemas);
        if call.access != self.usual {
            operation = operation.securities(Some(asked.security()));
        }
        operation.build()
    }

    /// The document.
    #[must_use]
    pub fn build(mut self) -> OpenApi {
        self.components.responses.extend(self.errors.components());
        OpenApiBuilder::new()
            .info(self.info)
            .paths(self.paths)
            .components(Some(self.components))
            .security(Some((self.requirements)(self.usual).security()))
            .tags(Some(self.tags))
            .build()
    }
}
