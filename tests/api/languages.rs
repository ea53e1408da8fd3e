//! `language`: the language of `msg` and of the reasons.

use serde_json::Value;

use crate::support::TestApp;
use crate::support::client::TRANSFER;

/// The `msg` of a success under this header, and of a refusal.
async fn messages(app: &TestApp, language: Option<&str>) -> (Value, Value, Value) {
    let with = |body| match language {
        Some(tag) => app.create(body).header("language", tag),
        None => app.create(body),
    };
    let success = with(TRANSFER).send().await;
    success.task_id();
    let refusal = with("{}").send().await;
    (
        success.body["msg"].clone(),
        refusal.body["msg"].clone(),
        refusal.body["details"][0]["reason"].clone(),
    )
}

#[tokio::test]
async fn every_spelling_of_chinese_is_answered_in_chinese() {
    let app = TestApp::dev().await;
    for tag in [
        "zh-CN",
        "zh_CN",
        "zh-cn",
        "ZH_cn",
        "zh",
        "ZH",
        "zh-Hans-CN",
        "zh-Hans",
        " zh-CN ",
    ] {
        let chinese = ("成功".into(), "参数无效。".into(), "不能为空".into());
        assert_eq!(messages(&app, Some(tag)).await, chinese, "{tag}");
    }
    app.stop().await;
}

#[tokio::test]
async fn english_unknown_absent_and_senseless_are_answered_in_english() {
    let app = TestApp::dev().await;
    let english = (
        "Success.".into(),
        "Invalid parameters.".into(),
        "is required".into(),
    );
    assert_eq!(messages(&app, None).await, english);
    for tag in [
        "en-US",
        "en_us",
        "EN",
        "fr-FR",
        "zho",
        "zhx-CN",
        "",
        "-",
        "*",
        "中文",
        "en-US,zh-CN",
    ] {
        assert_eq!(messages(&app, Some(tag)).await, english, "{tag}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_answered_in_the_callers_language_too() {
    let app = TestApp::dev().await;
    let answer = app
        .call("GET", "/nowhere")
        .header("language", "zh-CN")
        .send()
        .await;
    assert_eq!(answer.body["msg"], "路径不存在。");
    app.stop().await;
}
