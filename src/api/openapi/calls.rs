//! The calls: their paths, methods, parameters and answers.

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{ContentBuilder, Ref, Required};

use super::responses::{self, JSON};
use super::{TAG, examples, parameters, schemas};
use crate::api;
use crate::api::create::CreateAnswer;
use crate::api::detail::DetailAnswer;
use crate::api::list::ListAnswer;
use crate::api::recipient::RecipientAnswer;
use crate::api::result::ResultAnswer;

/// A call of the service.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Create,
    List,
    Detail,
    Result,
    Recipient,
}

impl Call {
    pub(super) const ALL: [Self; 5] = [
        Self::Create,
        Self::List,
        Self::Detail,
        Self::Result,
        Self::Recipient,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Create => api::CREATE,
            Self::List => api::LIST,
            Self::Detail => api::DETAIL,
            Self::Result => api::RESULT,
            Self::Recipient => api::RECIPIENT,
        }
    }

    pub(super) fn path_item(self) -> PathItem {
        let method = match self {
            Self::Create => HttpMethod::Post,
            Self::List | Self::Detail | Self::Result | Self::Recipient => HttpMethod::Get,
        };
        PathItem::new(method, self.operation())
    }

    /// The name of the call's page in KooDrive's reference.
    const fn operation_id(self) -> &'static str {
        match self {
            Self::Create => "createTask",
            Self::List => "getTaskList",
            Self::Detail => "getTaskDetail",
            Self::Result => "getTaskResult",
            Self::Recipient => "getHandoverDstUserInfo",
        }
    }

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => (
                "Create a task",
                "The task is durable before the answer is sent.",
            ),
            Self::List => (
                "List tasks",
                "The tenant's tasks, page by page. A parameter without a value counts as absent.",
            ),
            Self::Detail => ("Read a task", "One task of the tenant."),
            Self::Result => (
                "Read the result of a batch import",
                "Before the task has ended, `data` carries the counts so far. A parameter \
                 without a value counts as absent.",
            ),
            Self::Recipient => (
                "Read who receives a user's files",
                "The recipient of the newest transfer of this source user.",
            ),
        }
    }

    fn operation(self) -> Operation {
        let (summary, description) = self.texts();
        let operation = OperationBuilder::new()
            .tag(TAG)
            .operation_id(Some(self.operation_id()))
            .summary(Some(summary))
            .description(Some(description))
            .responses(responses::of_call(self))
            .response("200", self.answer());
        let operation = match self {
            Self::Create => operation.request_body(Some(create_body())),
            _ => operation,
        };
        let operation = self.parameters().into_iter().fold(operation, |all, own| {
            all.parameter(ParameterBuilder::build(own))
        });
        parameters::shared()
            .fold(operation, OperationBuilder::parameter_ref)
            .build()
    }

    fn parameters(self) -> Vec<ParameterBuilder> {
        match self {
            Self::Create => parameters::create(),
            Self::List => parameters::list(),
            Self::Detail => parameters::detail(),
            Self::Result => parameters::result(),
            Self::Recipient => parameters::recipient(),
        }
    }

    /// The answer to a call that succeeds.
    fn answer(self) -> ResponseBuilder {
        match self {
            Self::Create => answer::<CreateAnswer>("The task exists.", examples::create())
                .link(
                    "task",
                    link(Self::Detail, "task_id", "$response.body#/taskId"),
                )
                .link(
                    "recipient",
                    link(Self::Recipient, "src_user_id", "$request.body#/srcUserId"),
                ),
            Self::List => answer::<ListAnswer>("A page of tasks.", examples::list()).link(
                "nextPage",
                link(Self::List, "pageCursor", "$response.body#/nextCursor"),
            ),
            Self::Detail => answer::<DetailAnswer>("The task.", examples::detail()),
            Self::Result => answer::<ResultAnswer>("The counts.", examples::result()),
            Self::Recipient => answer::<RecipientAnswer>("The recipient.", examples::recipient()),
        }
    }
}

fn answer<T: ToSchema>(description: &str, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(schemas::of::<T>()))
        .example(Some(example));
    responses::answer(description, content.build())
}

fn link(to: Call, parameter: &str, expression: &str) -> Link {
    LinkBuilder::new()
        .operation_id(to.operation_id())
        .parameter(parameter, expression)
        .build()
}

fn create_body() -> RequestBody {
    let examples = examples::create_requests()
        .map(|(name, body)| (name, ExampleBuilder::new().value(Some(body)).build()));
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schemas::CREATE_REQUEST)))
        .examples_from_iter(examples);
    RequestBodyBuilder::new()
        .content(JSON, content)
        .required(Some(Required::True))
        .build()
}
