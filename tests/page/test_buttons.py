"""Every button, and its twin without JavaScript; the URL; speed."""

import json

import pytest
from playwright.sync_api import expect

BOTH = pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


@BOTH
def test_a_task_is_started_and_completed(open_page, tenant, script):
    task = tenant.create()
    page = open_page(tenant.page(task=task), script=script)
    press(page, "Start")
    expect(page.locator("#task .state")).to_contain_text("EXECUTING")
    press(page, "Complete")
    expect(page.locator("#task .state")).to_contain_text("SUCCESS")
    expect(page.get_by_role("button", name="Complete")).to_be_disabled()
    assert tenant.status(task) == "SUCCESS"


@BOTH
def test_a_task_fails_with_the_code_that_is_typed(open_page, tenant, script):
    task = tenant.create()
    page = open_page(tenant.page(task=task), script=script)
    page.get_by_label("Fail with").fill("18000999")
    press(page, "Fail")
    expect(page.locator("#task .state")).to_contain_text("FAILED 18000999")
    expect(page.locator("#tasks")).to_contain_text("18000999")


@BOTH
def test_what_cannot_be_done_says_why(open_page, tenant, script):
    task = tenant.create()
    page = open_page(tenant.page(task=task), script=script)
    if script:
        press(page, "Pause")
    tenant.control("POST", f"tasks/{task}/step", {"to": "SUCCESS"})
    press(page, "Complete")
    expect(page.get_by_role("alert")).to_contain_text("a task that is SUCCESS does not become SUCCESS")


@BOTH
def test_the_clock_is_frozen_turned_and_let_run(open_page, tenant, script):
    tenant.control("POST", "rules", {"then": {"progress": "new 1h, executing 1h"}})
    task = tenant.create()
    page = open_page(tenant.page(), script=script)
    press(page, "Freeze")
    expect(page.get_by_role("button", name="Let run")).to_be_visible()
    before = tenant.control("GET", "clock")
    assert before["frozen"]
    clock = page.locator("#now")
    expect(clock).to_have_text(before["now"][11:19] + "Z")
    press(page, "+1m")
    expect(clock).not_to_have_text(before["now"][11:19] + "Z")
    press(page, "To end")
    expect(page.locator(f"#tasks tr[data-id='{task}']")).to_contain_text("SUCCESS")
    press(page, "Let run")
    expect(page.get_by_role("button", name="Freeze")).to_be_visible()
    assert not tenant.control("GET", "clock")["frozen"]


@BOTH
def test_a_reset_asks_once(open_page, tenant, script):
    tenant.create()
    page = open_page(tenant.page(), script=script)
    expect(page.get_by_role("button", name=f"Reset tenant {tenant.name}")).to_be_hidden()
    page.get_by_text("Reset…").click()
    press(page, f"Reset tenant {tenant.name}")
    expect(page.locator("#no-tasks")).to_contain_text("No tasks yet")
    expect(page.get_by_role("button", name=f"Reset tenant {tenant.name}")).to_be_hidden()
    assert tenant.control("GET", "tasks")["tasks"] == []


@BOTH
def test_filters_reload_and_back_show_what_the_url_says(open_page, tenant, script):
    good, bad = tenant.create(srcUserId="good"), tenant.create(srcUserId="bad")
    tenant.control("POST", f"tasks/{bad}/step", {"to": "FAILED"})
    page = open_page(tenant.page(), script=script)
    rows = page.locator("#tasks tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="Failed 1").click()
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    expect(page.locator("#task")).to_contain_text("bad")
    page.reload()
    expect(rows).to_have_count(1)
    expect(page.locator("#task")).to_contain_text("bad")
    page.go_back()
    expect(page.locator("#task")).to_be_hidden()
    page.go_back()
    expect(rows).to_have_count(2)
    page.get_by_label("find").fill("good")
    press(page, "Apply")
    expect(rows).to_have_count(1)
    expect(rows).to_have_attribute("data-id", good)
    assert "q=good" in page.url and f"tenant={tenant.name}" in page.url
    page.get_by_label("type").select_option("1")
    press(page, "Apply")
    expect(page.locator("#no-tasks")).to_contain_text("No such task")
    page.get_by_role("link", name="Show all tasks").click()
    expect(rows).to_have_count(2)


@BOTH
def test_another_tenant_is_a_switch_away(open_page, tenant, script):
    task = tenant.create()
    page = open_page(tenant.page().replace(f"tenant={tenant.name}", "tenant=dev"), script=script)
    page.get_by_label("tenant").select_option(tenant.name)
    press(page, "Switch")
    expect(page.locator("#tasks tbody tr")).to_have_attribute("data-id", task)
    page.get_by_label("tenant").select_option("all")
    press(page, "Switch")
    expect(page.locator(f"#tasks tr[data-id='{task}']")).to_contain_text(tenant.name)


@pytest.mark.parametrize("clipboard", [True, False], ids=["with-clipboard", "without-clipboard"])
def test_a_link_a_request_and_a_matcher_are_copied(open_page, tenant, clipboard):
    task = tenant.create()
    page = open_page(tenant.page(task=task), permissions=["clipboard-read", "clipboard-write"])
    if not clipboard:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    read = "async () => { delete navigator.clipboard; return navigator.clipboard.readText(); }"

    def copied(button):
        button.click()
        expect(page.get_by_role("status")).to_have_text("Copied")
        text = page.evaluate(read)
        if not clipboard:
            page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
        return text

    link = copied(page.get_by_role("link", name="Copy link"))
    assert link.startswith("http://") and f"task={task}" in link
    page.locator("#requests summary").first.click()
    curl = copied(page.get_by_role("button", name="Copy as curl"))
    assert curl.startswith("curl -sSg -X POST") and f"Bearer tenant.{tenant.name}" in curl
    matcher = json.loads(copied(page.get_by_role("button", name="Copy matcher")))
    assert tenant.control("POST", "journal/verify", matcher) == {"ok": True, "count": 1}


def test_what_is_copied_can_be_read_without_javascript(open_page, tenant):
    tenant.create()
    page = open_page(tenant.page(), script=False)
    page.locator("#requests summary").click()
    expect(page.locator("#requests pre").first).to_contain_text("curl -sSg -X POST")
    expect(page.get_by_role("button", name="Copy as curl")).to_be_hidden()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()


def test_a_hundred_thousand_failed_rows_open_within_a_tenth_of_a_second(open_page, tenant):
    result = {"successCount": 97, "failCount": 100_000}
    tenant.control("POST", "rules", {"then": {"progress": "immediate", "result": result}})
    task = tenant.create(taskType=1, resultId="r", orgId="o", orgUserId="u")
    page = open_page(tenant.page(task=task))
    expect(page.locator("#rows tbody tr")).to_have_count(50)
    loaded = "(({fetchStart, domInteractive}) => domInteractive - fetchStart)" \
             "(performance.getEntriesByType('navigation')[0])"
    times = []
    # The best of some: what else the machine does is not measured.
    while min(times, default=100) >= 100:
        page.reload()
        times.append(page.evaluate(loaded))
        assert len(times) < 60, times
    page.get_by_role("link", name="Next rows").click()
    expect(page.locator("#rows")).to_contain_text("user-51")
