//! The one error body, for every error, in each language.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use kootask::api::CREATE;
use kootask::config::Defaults;
use kootask::web::context::RequestLimits;
use kootask::web::envelope::EnvelopeLayer;
use kootask::web::error::ApiError;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::TestApp;
use crate::support::client::{Call, IMPORT, TRANSFER};
use crate::support::credentials::token;
use crate::support::raw::{create_head, exchange};

/// The headers that belong to an error.
const TOLD: [&str; 3] = ["allow", "retry-after", "www-authenticate"];

/// Status, headers and, in each language, the body of the answer to a call.
async fn rendered(call: Call) -> String {
    let english = call.clone().header("language", "en-US").send().await;
    let chinese = call.header("language", "zh-CN").send().await;
    assert_eq!(english.status, chinese.status);
    assert_eq!(english.header("content-type"), "application/json");
    format!(
        "{}{}\n{}\n{}",
        english.status.as_u16(),
        told(&english.headers),
        english.body,
        chinese.body
    )
}

fn told(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for name in TOLD {
        for value in headers.get_all(name) {
            text.push_str(&format!("\n{name}: {}", value.to_str().unwrap()));
        }
    }
    text
}

macro_rules! assert_rendered {
    ($call:expr, @$expected:literal) => {
        insta::assert_snapshot!(rendered($call).await, @$expected)
    };
}

#[tokio::test]
async fn missing_parameters() {
    let app = TestApp::dev().await;
    assert_rendered!(app.create(r#"{"taskType":1}"#), @r#"
    400
    {"code":13000102,"details":[{"field":"resultId","reason":"is required"},{"field":"orgId","reason":"is required"},{"field":"orgUserId","reason":"is required"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"resultId","reason":"不能为空"},{"field":"orgId","reason":"不能为空"},{"field":"orgUserId","reason":"不能为空"}],"msg":"参数无效。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn invalid_parameters() {
    let app = TestApp::dev().await;
    let body = r#"{"taskType":1,"resultId":1534087020903704704,"orgId":"a b","orgUserId":true}"#;
    assert_rendered!(app.create(body), @r#"
    400
    {"code":13000102,"details":[{"field":"resultId","reason":"must be a string: a JSON number of this size loses digits in many clients"},{"field":"orgId","reason":"must be 1 to 64 characters of A-Z a-z 0-9 _ -"},{"field":"orgUserId","reason":"must be a string"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"resultId","reason":"必须为字符串：此长度的JSON数字在许多客户端会丢失精度"},{"field":"orgId","reason":"必须为1到64个字符，只能包含 A-Z a-z 0-9 _ -"},{"field":"orgUserId","reason":"必须为字符串"}],"msg":"参数无效。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn invalid_task_types() {
    let app = TestApp::dev().await;
    assert_rendered!(app.create(r#"{"taskType":"0"}"#), @r#"
    400
    {"code":13000102,"details":[{"field":"taskType","reason":"must be an integer"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"taskType","reason":"必须为整数"}],"msg":"参数无效。"}
    "#);
    assert_rendered!(app.create(r#"{"taskType":2}"#), @r#"
    400
    {"code":13000102,"details":[{"field":"taskType","reason":"must be 0 (transfer and deletion) or 1 (batch import)"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"taskType","reason":"必须为0（转移并删除）或1（批量导入）"}],"msg":"参数无效。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn the_recipient_is_the_source() {
    let app = TestApp::dev().await;
    assert_rendered!(app.create(r#"{"srcUserId":"a","dstUserId":"a"}"#), @r#"
    400
    {"code":13000102,"details":[{"field":"dstUserId","reason":"must differ from srcUserId"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"dstUserId","reason":"不能与srcUserId相同"}],"msg":"参数无效。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn invalid_headers() {
    let app = TestApp::dev().await;
    let call = app
        .create(TRANSFER)
        .and_header("X-User-Id", "another")
        .header("X-Date", "today")
        .header("X-Traceid", "a b");
    assert_rendered!(call, @r#"
    400
    {"code":13000102,"details":[{"field":"X-User-Id","reason":"must be given only once"},{"field":"X-Date","reason":"must be a UTC time in the form YYYYMMDD'T'HHMMSS'Z'"},{"field":"X-Traceid","reason":"must be 1 to 128 visible ASCII characters"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"X-User-Id","reason":"只能出现一次"},{"field":"X-Date","reason":"必须为UTC时间，格式为YYYYMMDD'T'HHMMSS'Z'"},{"field":"X-Traceid","reason":"必须为1到128个可见ASCII字符"}],"msg":"参数无效。"}
    "#);
    assert_rendered!(app.create(TRANSFER).header("Idempotency-Key", "a b"), @r#"
    400
    {"code":13000102,"details":[{"field":"Idempotency-Key","reason":"must be 1 to 255 visible ASCII characters"}],"msg":"Invalid parameters."}
    {"code":13000102,"details":[{"field":"Idempotency-Key","reason":"必须为1到255个可见ASCII字符"}],"msg":"参数无效。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn malformed_bodies() {
    let app = TestApp::dev().await;
    assert_rendered!(app.create("{"), @r#"
    400
    {"code":13000101,"msg":"The body is not valid JSON."}
    {"code":13000101,"msg":"请求体不是有效的JSON。"}
    "#);
    assert_rendered!(app.create("[]"), @r#"
    400
    {"code":13000101,"msg":"The body must be a JSON object."}
    {"code":13000101,"msg":"请求体必须是JSON对象。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn no_host() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.0");
    let english = exchange(app.address, format!("{head}\r\n")).await;
    let chinese = exchange(app.address, format!("{head}language: zh-CN\r\n\r\n")).await;
    insta::assert_snapshot!(format!("{}\n{}\n{}", english.status, english.body, chinese.body), @r#"
    400
    {"code":13000101,"msg":"The Host header is missing."}
    {"code":13000101,"msg":"缺少Host请求头。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn an_unreadable_body() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.1") + "Host: h\r\nTransfer-Encoding: chunked\r\n";
    let broken = "\r\nno length\r\n";
    let english = exchange(app.address, format!("{head}{broken}")).await;
    let chinese = exchange(app.address, format!("{head}language: zh\r\n{broken}")).await;
    insta::assert_snapshot!(format!("{}\n{}\n{}", english.status, english.body, chinese.body), @r#"
    400
    {"code":13000101,"msg":"The body could not be read."}
    {"code":13000101,"msg":"无法读取请求体。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn unauthenticated() {
    let app = TestApp::start(&token("good", "acme"), Defaults::Serve).await;
    assert_rendered!(app.create(TRANSFER), @r#"
    401
    www-authenticate: Bearer realm="koodrive"
    www-authenticate: HMAC-SHA256
    {"code":13000101,"msg":"Authentication failed."}
    {"code":13000101,"msg":"认证失败。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn forbidden() {
    let bound = token("bound", "acme") + "user_id = \"somebody\"";
    let app = TestApp::start(&bound, Defaults::Serve).await;
    assert_rendered!(app.create(TRANSFER).bearer("bound"), @r#"
    403
    {"code":13000101,"msg":"Not allowed to act as this user."}
    {"code":13000101,"msg":"无权以该用户身份操作。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn no_such_path_or_method() {
    let app = TestApp::dev().await;
    assert_rendered!(app.call("GET", "/"), @r#"
    404
    {"code":13000101,"msg":"No such path."}
    {"code":13000101,"msg":"路径不存在。"}
    "#);
    assert_rendered!(app.call("GET", CREATE), @r#"
    405
    allow: POST
    {"code":13000101,"msg":"Method not allowed."}
    {"code":13000101,"msg":"不支持该请求方法。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn too_large_or_no_json() {
    let app = TestApp::dev().await;
    assert_rendered!(app.create(&"x".repeat(16 * 1024 + 1)), @r#"
    413
    {"code":13000101,"msg":"The body is too large."}
    {"code":13000101,"msg":"请求体过大。"}
    "#);
    assert_rendered!(app.create(TRANSFER).header("Content-Type", "text/xml"), @r#"
    415
    {"code":13000101,"msg":"The body must be application/json."}
    {"code":13000101,"msg":"请求体类型必须为application/json。"}
    "#);
    app.stop().await;
}

#[tokio::test]
async fn idempotency_mismatch() {
    let app = TestApp::dev().await;
    app.create(TRANSFER)
        .header("Idempotency-Key", "k")
        .send()
        .await
        .task_id();
    assert_rendered!(app.create(IMPORT).header("Idempotency-Key", "k"), @r#"
    422
    {"code":13000101,"msg":"The Idempotency-Key was used with another body."}
    {"code":13000101,"msg":"该Idempotency-Key已用于不同的请求体。"}
    "#);
    app.stop().await;
}

/// As [`rendered`], for an error that a request from outside does not cause.
async fn of_error(error: ApiError) -> String {
    let mut text = String::new();
    for language in ["en-US", "zh-CN"] {
        let error = error.clone();
        let inner = service_fn(move |_: Request<Body>| {
            let response = error.clone().into_response();
            async { Ok::<_, Infallible>(response) }
        });
        let limits = RequestLimits {
            body: 1024,
            timeout: Duration::from_secs(10),
        };
        let request = Request::builder().header("language", language);
        let request = request.body(Body::empty()).unwrap();
        let answer = EnvelopeLayer::new(limits)
            .layer(inner)
            .oneshot(request)
            .await
            .unwrap();
        if text.is_empty() {
            text = format!("{}{}", answer.status().as_u16(), told(answer.headers()));
        }
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        text.push_str(&format!("\n{body}"));
    }
    text
}

#[tokio::test]
async fn a_late_request() {
    insta::assert_snapshot!(of_error(ApiError::RequestTimeout).await, @r#"
    408
    {"code":13000101,"msg":"The request did not arrive in time."}
    {"code":13000101,"msg":"请求接收超时。"}
    "#);
}

#[tokio::test]
async fn faults_of_the_service_tell_nothing_of_their_cause() {
    let cause = || std::io::Error::other("/secret/path: disk full");
    insta::assert_snapshot!(of_error(ApiError::internal(cause())).await, @r#"
    500
    {"code":13000201,"msg":"Internal error."}
    {"code":13000201,"msg":"内部错误。"}
    "#);
    insta::assert_snapshot!(of_error(ApiError::unavailable(cause())).await, @r#"
    503
    retry-after: 1
    {"code":13000201,"msg":"The service is temporarily unavailable. Try again."}
    {"code":13000201,"msg":"服务暂不可用，请重试。"}
    "#);
}

#[tokio::test]
async fn what_never_answers_is_unavailable_at_the_deadline() {
    let stuck = service_fn(|_: Request<Body>| {
        std::future::pending::<Result<axum::response::Response, Infallible>>()
    });
    let limits = RequestLimits {
        body: 1024,
        timeout: Duration::from_millis(20),
    };
    let request = Request::new(Body::empty());
    let answer = EnvelopeLayer::new(limits)
        .layer(stuck)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(told(answer.headers()), "\nretry-after: 1");
}
