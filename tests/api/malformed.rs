//! Bodies that are no JSON object.

use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let app = TestApp::dev().await;
    let too_deep = format!("{{\"a\":{}", "[".repeat(10_000));
    for body in [
        "",
        " ",
        "{",
        "}",
        "{]",
        "nul",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\" 1}",
        "a=b",
        "{} {}",
        "\u{feff}{}",
        "{\"srcUserId\":\"\u{1}\"}",
        &too_deep,
        "<task/>",
    ] {
        let answer = app.create(body).send().await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.body["code"], 13_000_101, "{body}");
        assert_eq!(answer.body["msg"], "The body is not valid JSON.", "{body}");
        assert_eq!(answer.body.get("details"), None, "{body}");
    }
    app.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_malformed() {
    let app = TestApp::dev().await;
    for body in [
        &b"{\"srcUserId\":\"\xff\",\"dstUserId\":\"b\"}"[..],
        // Also where nobody reads it.
        b"{\"srcUserId\":\"a\",\"dstUserId\":\"b\",\"own\":\"\xff\"}",
        b"{\"srcUserId\":\"a\",\"dstUserId\":\"b\",\"\xff\":1}",
        b"{\"srcUserId\":\"a\",\"dstUserId\":\"b\",\"own\":[{\"a\":\"\xed\xa0\x80\"}]}",
        b"{\"srcUserId\":\"a\",\"dstUserId\":\"b\"}\xff",
    ] {
        let answer = app.create("").body(body).send().await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (400, &json!(13_000_101))
        );
        assert_eq!(answer.body["msg"], "The body is not valid UTF-8.");
    }
    app.stop().await;
}

#[tokio::test]
async fn json_that_is_no_object_is_malformed() {
    let app = TestApp::dev().await;
    for body in [
        "[]",
        "[{\"srcUserId\":\"a\",\"dstUserId\":\"b\"}]",
        "0",
        "\"{}\"",
        "null",
        "true",
    ] {
        let answer = app.create(body).send().await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.body["code"], 13_000_101, "{body}");
        assert_eq!(
            answer.body["msg"], "The body must be a JSON object.",
            "{body}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn white_space_order_and_escapes_do_not_matter() {
    let app = TestApp::dev().await;
    let body =
        "\r\n\t { \"dst\\u0055serId\" : \"\\u0062\" ,\n\"srcUserId\":\"a\", \"taskType\" : 0 } \n";
    app.create(body).send().await.task_id();
    app.stop().await;
}

/// Which of the two would be meant?
#[tokio::test]
async fn a_field_that_is_there_twice_is_named() {
    let app = TestApp::dev().await;
    let body = r#"{"srcUserId":"a","dstUserId":"b","srcUserId":"c"}"#;
    let answer = app.create(body).send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body["details"],
        json!([{"field": "srcUserId", "reason": "must be given only once"}])
    );
    let body = r#"{"srcUserId":"a","dstUserId":"b","own":1,"own":2}"#;
    app.create(body).send().await.task_id();
    app.stop().await;
}

#[tokio::test]
async fn a_number_with_the_value_of_an_integer_is_that_integer() {
    let app = TestApp::dev().await;
    for number in ["0", "0.0", "0e5", "-0"] {
        let body = format!(r#"{{"taskType":{number},"srcUserId":"a","dstUserId":"b"}}"#);
        app.create(&body).send().await.task_id();
    }
    for number in ["0.5", "1e-1", "true", "\"0\""] {
        let body = format!(r#"{{"taskType":{number},"srcUserId":"a","dstUserId":"b"}}"#);
        let answer = app.create(&body).send().await;
        let reason = json!([{"field": "taskType", "reason": "must be an integer"}]);
        assert_eq!(answer.body["details"], reason, "{number}");
    }
    app.stop().await;
}
