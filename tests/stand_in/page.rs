//! The page `/kootask/dev/`, as a browser without JavaScript has it.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, StatusCode, redirect};
use serde_json::json;

use super::{detail, stand_in, status};
use crate::support::TestApp;
use crate::support::client::{IMPORT, TRANSFER};
use crate::support::process::TestProcess;

/// What a browser is given.
struct Shown {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Shown {
    fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

/// A request of a browser's.
fn request(app: &TestApp, method: &str, path: &str) -> reqwest::RequestBuilder {
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    let url = format!("http://{}/kootask/dev{path}", app.address);
    client.request(method.parse().unwrap(), url)
}

async fn sent(request: reqwest::RequestBuilder) -> Shown {
    let answer = request.send().await.unwrap();
    Shown {
        status: answer.status(),
        headers: answer.headers().clone(),
        text: answer.text().await.unwrap(),
    }
}

async fn page(app: &TestApp, query: &str) -> Shown {
    sent(request(app, "GET", &format!("/{query}"))).await
}

/// A form as a browser sends it from this page.
async fn submit(app: &TestApp, query: &str, form: &'static str) -> Shown {
    let request = request(app, "POST", &format!("/{query}"))
        .header("Origin", format!("http://{}", app.address))
        .header("Sec-Fetch-Site", "same-origin")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    sent(request.body(form)).await
}

#[tokio::test]
async fn the_page_may_load_nothing_but_its_own_and_is_led_to_without_its_slash() {
    let app = stand_in("progress = 'manual'").await;
    let shown = page(&app, "").await;
    assert_eq!(shown.status, 200);
    assert_eq!(
        shown.headers[CONTENT_SECURITY_POLICY],
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    assert!(shown.has("No tasks yet"), "{}", shown.text);
    let curl = format!("http://{}/koodrive/ose/v1/task/create", app.address);
    assert!(shown.has(&curl), "{}", shown.text);
    for (file, media_type) in [("page.css", "text/css"), ("page.js", "text/javascript")] {
        assert!(shown.has(&format!("=\"{file}\"")), "{}", shown.text);
        let file = sent(request(&app, "GET", &format!("/{file}"))).await;
        let declared = file.headers[CONTENT_TYPE].to_str().unwrap();
        assert!(file.status == 200 && declared.starts_with(media_type));
    }
    let redirect = sent(request(&app, "GET", "")).await;
    assert_eq!(redirect.status, 308);
    assert_eq!(redirect.headers[LOCATION], "dev/");
}

#[tokio::test]
async fn whatever_names_hold_is_shown_as_text() {
    let app = stand_in("progress = 'immediate'").await;
    let evil = "<img src=x onerror=alert(1)>";
    let failures = json!([{ "userName": evil, "desc": "\"'><script>alert(2)</script>" }]);
    let rule = json!({ "then": { "result": { "failures": failures } } });
    let set = app.control("POST", "rules", &rule.to_string()).await;
    assert_eq!(set.status, 200, "{set:?}");
    let id = app.create(IMPORT).send().await.task_id();
    let path = "/koodrive/ose/v1/task/list?%3Cscript%3E&a='\"<script>";
    let body = json!({ "srcUserId": evil }).to_string();
    app.create(&body).header("X-Evil", evil).send().await;
    app.read(path).send().await;
    let shown = page(&app, &format!("?task={id}&q={evil}")).await;
    assert_eq!(shown.status, 200);
    assert!(shown.has("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(
        !shown.has("<img") && !shown.has("<script>"),
        "{}",
        shown.text
    );
    let wrong = page(&app, &format!("?status={evil}")).await;
    assert_eq!(wrong.status, 400);
    assert!(!wrong.has("<img"), "{}", wrong.text);
}

#[tokio::test]
async fn the_choice_the_open_task_and_the_place_in_the_list_are_in_the_url() {
    let app = stand_in("progress = 'manual'").await;
    let tasks: Vec<_> = (0..60)
        .map(|number| {
            let status = if number % 2 == 0 { "NEW" } else { "FAILED" };
            json!({ "status": status, "srcUserId": format!("user-{number}x"), "dstUserId": "heir" })
        })
        .collect();
    let tasks = json!({ "tasks": tasks }).to_string();
    let added = app.control("POST", "tasks", &tasks).await.body;
    let rows = |shown: &Shown| shown.text.matches(" id=\"task-").count();
    let all = page(&app, "").await;
    assert_eq!(rows(&all), 50);
    assert!(
        all.has("All <b>60</b>") && all.has("Failed <b>30</b>"),
        "{}",
        all.text
    );
    let (_, older) = all.text.split_once("before=").unwrap();
    let last = older.split('"').next().unwrap();
    assert_eq!(rows(&page(&app, &format!("?before={last}")).await), 10);
    assert_eq!(rows(&page(&app, "?status=FAILED").await), 30);
    assert_eq!(rows(&page(&app, "?q=user-7x").await), 1);
    assert_eq!(rows(&page(&app, "?type=1").await), 0);
    assert!(page(&app, "?type=1").await.has("No such task"));
    let id = added["tasks"][7]["id"].as_str().unwrap();
    let open = page(&app, &format!("?status=FAILED&task={id}")).await;
    assert!(open.has("<dd class=\"id\">user-7x</dd>"), "{}", open.text);
    // The status stays chosen where the task is closed, and the task open where
    // another status is chosen.
    assert!(
        open.has("href=\"?tenant=dev&amp;status=FAILED\""),
        "{}",
        open.text
    );
    let other = format!("href=\"?tenant=dev&amp;task={id}&amp;status=NEW,WAITING\"");
    assert!(open.has(&other), "{}", open.text);
}

#[tokio::test]
async fn every_button_does_what_it_says_and_leads_back() {
    let app = stand_in("progress = 'new 1h, executing 1h'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    let query = format!("?tenant=dev&task={id}");
    let started = submit(&app, &query, "do=start").await;
    assert_eq!(started.status, 303);
    assert_eq!(
        started.headers[LOCATION],
        format!("./{query}#task").as_str()
    );
    assert_eq!(status(&app, id).await, 1);
    submit(&app, &query, "do=complete").await;
    assert_eq!(status(&app, id).await, 2);
    let twice = submit(&app, &query, "do=complete").await;
    assert_eq!(twice.status, 409);
    assert!(twice.has("a task that is SUCCESS does not become SUCCESS"));

    let other = app.create(TRANSFER).send().await.task_id();
    let query = format!("?task={other}");
    let wrong = submit(&app, &query, "do=fail&resultCode=1").await;
    assert_eq!(wrong.status, 400);
    submit(&app, &query, "resultCode=18000999&do=fail").await;
    assert_eq!(detail(&app, other).await["resultCode"], "18000999");

    let clock = async || app.control("GET", "clock", "").await.body;
    assert_eq!(submit(&app, "", "do=freeze").await.status, 303);
    let before = clock().await;
    assert_eq!(before["frozen"], true);
    assert!(page(&app, "").await.has("Let run"));
    submit(&app, "", "do=advance").await;
    let moment = |clock: &serde_json::Value| {
        let now = clock["now"].as_str().unwrap();
        now.parse::<jiff::Timestamp>().unwrap()
    };
    let by = moment(&clock().await).duration_since(moment(&before));
    assert_eq!(by, jiff::SignedDuration::from_mins(1));
    submit(&app, "", "do=run").await;
    assert_eq!(clock().await["frozen"], false);
    let last = app.create(TRANSFER).send().await.task_id();
    submit(&app, "", "do=to-end").await;
    assert_eq!(status(&app, last).await, 2);
    submit(&app, &format!("?task={last}&status=NEW"), "do=reset").await;
    assert!(page(&app, "").await.has("No tasks yet"));
}

#[tokio::test]
async fn forms_of_other_sites_and_other_bodies_change_nothing() {
    let app = stand_in("progress = 'manual'").await;
    let reset = || request(&app, "POST", "/").body("do=reset");
    let form = || reset().header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (request, status) in [
        (form().header("Origin", "https://evil.example"), 403),
        (form().header("Origin", "null"), 403),
        (form().header("Sec-Fetch-Site", "same-site"), 403),
        (form().header("Host", "evil.example"), 403),
        (reset().header(CONTENT_TYPE, "text/plain"), 415),
        (reset(), 415),
        (form().body("do=anything"), 400),
    ] {
        assert_eq!(sent(request).await.status, status);
    }
    let rebound = request(&app, "GET", "/").header("Host", "evil.example");
    assert_eq!(sent(rebound).await.status, 403);
    let health = app.control("GET", "health", "").await.body;
    assert_eq!(health["generation"], 1);
    assert_eq!(sent(form()).await.status, 303);
}

#[tokio::test]
async fn with_another_store_the_page_works_and_what_cannot_be_done_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/tasks.db", folder.path().display());
    let toml = format!("[store]\nurl = '{url}'\n[dev]\nprogress = 'manual'");
    let app = TestApp::start(&toml, kootask::config::Defaults::Dev).await;
    let id = app.create(TRANSFER).send().await.task_id();
    let query = format!("?task={id}");
    assert!(page(&app, &query).await.has("1397687227244555008"));
    for button in ["do=freeze", "do=run", "do=advance", "do=to-end", "do=reset"] {
        let refused = submit(&app, &query, button).await;
        assert_eq!(refused.status, 409, "{button}");
        assert!(
            refused.has("this needs the store memory:"),
            "{}",
            refused.text
        );
        assert!(refused.has("1397687227244555008"), "{}", refused.text);
    }
    assert_eq!(submit(&app, &query, "do=complete").await.status, 303);
    assert_eq!(status(&app, id).await, 2);
}

#[tokio::test]
async fn a_hundred_thousand_failed_rows_are_shown_by_the_page() {
    let app = stand_in("progress = 'immediate'").await;
    let rule = r#"{"then":{"result":{"successCount":97,"failCount":100000}}}"#;
    app.control("POST", "rules", rule).await;
    let id = app.create(IMPORT).send().await.task_id();
    let first = page(&app, &format!("?task={id}")).await;
    assert!(first.has(">user-50<") && !first.has(">user-51<"));
    assert!(first.has("<b>97</b> imported, <b>100000</b> not"));
    assert!(first.has("rows=50#rows\">Next rows"), "{}", first.text);
    let last = page(&app, &format!("?task={id}&rows=99950")).await;
    assert!(last.has(">user-100000<") && !last.has("Next rows"));
    assert!(last.has("rows=99900#rows\">Previous rows"), "{}", last.text);
}

#[tokio::test]
async fn a_refused_request_is_explained_and_can_be_sent_again() {
    let app = stand_in("progress = 'manual'").await;
    let refused = app
        .create(TRANSFER)
        .header("Content-Type", "application/json; a='b'")
        .signed("kootask-dev-a", "another-secret-of-mine")
        .send()
        .await;
    assert_eq!(refused.status, 401);
    let shown = page(&app, "?tenant=a").await;
    assert!(
        shown.has("POST create") && shown.has("The string to sign"),
        "{}",
        shown.text
    );
    assert!(
        shown.has("content-type: application/json; a='\\''b'\\'''"),
        "{}",
        shown.text
    );
    assert!(
        shown.has("{&quot;count&quot;:1,&quot;match&quot;:"),
        "{}",
        shown.text
    );
    assert!(shown.has("&quot;body.srcUserId&quot;:&quot;1397687227244555008&quot;"));
    assert!(!shown.has("Signature="), "{}", shown.text);
}

#[tokio::test]
async fn attempts_of_workers_are_shown() {
    let app = stand_in("progress = 'manual'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    let claim = json!({ "worker": "w-1", "claimId": uuid::Uuid::new_v4().to_string(), "max": 1 });
    let claimed = app.worker("/kootask/v1/worker/claim", &claim).send().await;
    assert_eq!(claimed.status, 200, "{claimed:?}");
    let shown = page(&app, &format!("?task={id}")).await;
    assert!(shown.has("<td class=\"id\">w-1</td>"), "{}", shown.text);
    assert!(shown.has("<td>running</td>"), "{}", shown.text);
}

#[tokio::test]
async fn tenants_are_shown_apart_or_all_together() {
    let app = stand_in("progress = 'manual'").await;
    for tenant in ["tenant.a", "tenant.b"] {
        app.create(TRANSFER).bearer(tenant).send().await.task_id();
    }
    let rows = |shown: &Shown| shown.text.matches(" id=\"task-").count();
    assert_eq!(rows(&page(&app, "").await), 0);
    let one = page(&app, "?tenant=a").await;
    assert!(rows(&one) == 1 && one.has("<option value=\"b\">b</option>"));
    let all = page(&app, "?tenant=*").await;
    assert_eq!(rows(&all), 2);
    assert!(all.has("href=\"?tenant=a&amp;task="), "{}", all.text);
}

#[tokio::test]
async fn what_the_page_reads_is_no_poll() {
    let app = stand_in("progress = 'new 1 poll, executing 1 poll'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    for _ in 0..3 {
        let shown = page(&app, &format!("?task={id}")).await;
        assert!(shown.has("seen in 0 of 1 polls"), "{}", shown.text);
    }
    assert_eq!((status(&app, id).await, status(&app, id).await), (0, 1));
}

/// What is told to a page that is watched, up to the first update with this text.
async fn told(app: &TestApp, until: &str, meanwhile: impl AsyncFnOnce()) -> String {
    let mut stream = request(app, "GET", "/fragments").send().await.unwrap();
    meanwhile().await;
    let mut told = String::new();
    while !told.contains(until) {
        let next = tokio::time::timeout(Duration::from_secs(30), stream.chunk());
        let next = next.await.expect(until).unwrap().expect("it ended");
        told.push_str(&String::from_utf8_lossy(&next));
    }
    told
}

#[tokio::test]
async fn rows_are_told_as_they_change_and_at_most_ten_times_a_second() {
    let app = stand_in("progress = 'immediate'").await;
    let started = Instant::now();
    let told = told(&app, "data-id=\"40\"", async || {
        for _ in 0..40 {
            app.create(TRANSFER).send().await.task_id();
        }
    })
    .await;
    let updates = told.matches("event:").count() + told.matches("\nid: ").count();
    let most = started.elapsed().as_millis() / 100 + 2;
    assert!(
        updates as u128 <= most,
        "{updates} in {most} tenths of a second"
    );
    assert!(told.contains("<tr id=\"task-dev-"), "{told}");
    assert!(told.contains("All <b>40</b>"), "{told}");
}

#[tokio::test]
async fn after_a_reset_the_page_is_read_anew() {
    let app = stand_in("progress = 'manual'").await;
    let told = told(&app, "event: refresh", async || {
        app.control("POST", "reset?tenant=other", "").await;
        app.control("POST", "reset", "").await;
    })
    .await;
    assert_eq!(told.matches("event: refresh").count(), 1);
}

#[tokio::test]
async fn open_pages_do_not_hold_a_shutdown_up() {
    let service = TestProcess::dev("memory:");
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/kootask/dev/fragments", service.address);
    let mut pages = Vec::new();
    for _ in 0..6 {
        pages.push(client.get(&url).send().await.unwrap());
    }
    service.signal("TERM");
    // A request in flight would be waited for, 7 s.
    let status = service.ended_within(Duration::from_secs(3)).await;
    assert!(status.success(), "{status}");
}
