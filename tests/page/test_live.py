"""What happens on the page while it is looked at."""

import json

from playwright.sync_api import expect

from conftest import StandIn, Tenant, free_address


def row(page, task):
    return page.locator(f"#tasks tr[data-id='{task}']")


def test_a_task_goes_from_new_to_success_in_view_without_a_reload(page, tenant):
    page.evaluate("window.mark = 1")
    task = tenant.create()
    expect(row(page, task)).to_contain_text("NEW")
    expect(page.locator("#statuses")).to_contain_text("New 1")
    tenant.control("POST", f"tasks/{task}/step", {"to": "EXECUTING"})
    expect(row(page, task)).to_contain_text("EXECUTING")
    tenant.control("POST", f"tasks/{task}/step", {"to": "SUCCESS"})
    expect(row(page, task)).to_contain_text("SUCCESS")
    expect(page.locator("#statuses")).to_contain_text("Success 1")
    assert page.evaluate("window.mark") == 1


def test_the_open_task_changes_in_view_too(open_page, tenant):
    tenant.control("POST", "rules", {"then": {"progress": "new 2 polls, executing 1 poll"}})
    task = tenant.create()
    page = open_page(tenant.page(task=task))
    state = page.locator("#task .state")
    expect(state).to_contain_text("seen in 0 of 2 polls")
    tenant.koodrive("GET", task)
    expect(state).to_contain_text("seen in 1 of 2 polls")
    tenant.koodrive("GET", task)
    expect(state).to_contain_text("EXECUTING")
    tenant.koodrive("GET", task)
    expect(state).to_contain_text("SUCCESS")


def test_new_rows_wait_until_they_are_asked_for_and_no_button_moves_under_the_pointer(open_page, tenant):
    first = tenant.create()
    page = open_page(tenant.page(task=first))
    places = "[...document.querySelectorAll('button, a, summary')].filter(one => !one.dataset.show)" \
             ".map(one => [one.textContent, JSON.stringify(one.getBoundingClientRect())])" \
             ".filter(([text]) => !/[0-9]/.test(text))"
    before = page.evaluate(places)
    assert len(before) > 10
    others = [tenant.create() for _ in range(3)]
    show = page.get_by_role("button", name="3 new tasks: show")
    expect(show).to_be_visible()
    expect(page.get_by_role("button", name="3 new requests: show")).to_be_visible()
    tenant.control("POST", f"tasks/{first}/step", {"to": "SUCCESS"})
    expect(row(page, first)).to_contain_text("SUCCESS")
    expect(row(page, others[0])).to_have_count(0)
    assert page.evaluate(places) == before
    show.click()
    expect(page.locator("#tasks tbody tr")).to_have_count(4)
    shown = page.locator("#tasks tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")
    assert shown == [*reversed(others), first]
    expect(show).to_be_hidden()
    expect(row(page, others[-1]).locator("a")).to_be_focused()


def test_rows_that_do_not_fit_the_filter_do_not_come_and_those_shown_stay(open_page, tenant):
    task = tenant.create()
    page = open_page(tenant.page(status="NEW"))
    tenant.control("POST", "tasks", {"tasks": [{"status": "FAILED", "srcUserId": "a", "dstUserId": "b"}]})
    tenant.control("POST", f"tasks/{task}/step", {"to": "EXECUTING"})
    expect(row(page, task)).to_contain_text("EXECUTING")
    expect(page.locator("[data-show=tasks]")).to_be_hidden()
    page.reload()
    expect(page.locator("#no-tasks")).to_contain_text("No such task")


def test_while_paused_nothing_changes_and_then_all_at_once(open_page, tenant):
    task = tenant.create()
    page = open_page(tenant.page())
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state")).to_have_text("paused")
    before = page.content()
    tenant.control("POST", f"tasks/{task}/step", {"to": "SUCCESS"})
    # Another page has it by now, this one has not.
    other = open_page(tenant.page())
    expect(row(other, task)).to_contain_text("SUCCESS")
    tenant.control("POST", "clock/advance", {"by": "2h"})
    expect(row(other, task)).to_contain_text("2 h ago")
    assert page.content() == before
    page.get_by_role("button", name="Resume").click()
    expect(row(page, task)).to_contain_text("SUCCESS")


def test_a_hidden_tab_lets_its_stream_go_and_catches_up_when_it_is_seen(open_page, tenant):
    task = tenant.create()
    page = open_page(tenant.page())
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});" \
           " document.dispatchEvent(new Event('visibilitychange')); }"
    with page.expect_event("requestfailed", lambda request: "/fragments" in request.url):
        page.evaluate(hide, True)
    expect(page.locator("#state")).to_have_text("waits")
    tenant.control("POST", f"tasks/{task}/step", {"to": "SUCCESS"})
    expect(row(page, task)).to_contain_text("NEW")
    page.evaluate(hide, False)
    expect(row(page, task)).to_contain_text("SUCCESS")
    expect(page.locator("#state")).to_have_text("live")


def test_the_server_goes_away_and_comes_back_and_the_page_says_so(open_page):
    address = free_address()
    tenant = Tenant(StandIn(address), "dev")
    try:
        task = tenant.create()
        page = open_page(tenant.page())
        expect(row(page, task)).to_be_visible()
        tenant.stand_in.kill()
        expect(page.locator("#state")).to_have_text("lost")
        expect(page.get_by_role("status")).to_contain_text("The connection is lost")
        tenant.stand_in = StandIn(address)
        expect(page.locator("#state")).to_have_text("live")
        expect(page.get_by_role("status")).to_contain_text("The connection is back")
        # It has forgotten all, and so does the page.
        expect(row(page, task)).to_have_count(0)
        expect(row(page, tenant.create())).to_be_visible()
    finally:
        tenant.stand_in.kill()


def test_a_reset_elsewhere_empties_the_page(open_page, tenant):
    task = tenant.create()
    page = open_page(tenant.page(task=task))
    tenant.control("POST", "reset")
    expect(page.locator("#no-tasks")).to_contain_text("No tasks yet")
    expect(page.locator("#no-requests")).to_be_visible()
    expect(page.locator("#task")).to_contain_text("There is no such task")


def test_a_flood_of_tasks_is_counted_and_leaves_what_is_shown(open_page, tenant):
    first = tenant.create()
    page = open_page(tenant.page())
    flood = [{"srcUserId": f"user-{number}x", "dstUserId": "heir"} for number in range(60)]
    tenant.control("POST", "tasks", {"tasks": flood})
    tenant.create()
    page.get_by_role("button", name="new tasks: show").click()
    expect(page.locator("#tasks tbody tr")).to_have_count(50)
    expect(row(page, first)).to_have_count(0)


def test_a_refused_request_is_explained_as_it_comes(page, tenant):
    signed = f"HMAC-SHA256 AppId=kootask-dev-{tenant.name},SignedHeaders=host;x-date;x-user-id,Signature="
    status, _ = tenant.koodrive("POST", "create", {}, Authorization=signed + "0" * 64)
    assert status == 401
    request = page.locator("#requests tbody tr")
    expect(request).to_contain_text("POST create")
    expect(request).to_contain_text("401")
    request.locator("summary").click()
    expect(request).to_contain_text("The string to sign")
    assert json.dumps(signed) not in page.content()


def test_markup_in_names_is_shown_as_text_and_nothing_runs(open_page, tenant):
    evil = "<img src=x onerror=window.broken=1><script>window.broken=1</script>"
    failures = [{"userName": evil, "desc": evil}]
    tenant.control("POST", "rules", {"then": {"progress": "immediate", "result": {"failures": failures}}})
    page = open_page(tenant.page())
    task = tenant.create(taskType=1, resultId="r", orgId="o", orgUserId="u")
    tenant.koodrive("POST", "create", {"srcUserId": evil}, **{"X-Evil": evil})
    expect(row(page, task)).to_be_visible()
    page.goto(tenant.page(task=task))
    expect(page.locator("#rows")).to_contain_text(evil)
    # Also where the script puts it.
    tenant.koodrive("POST", "create", {"srcUserId": evil})
    page.get_by_role("button", name="new request: show").click()
    page.locator("#requests summary").first.click()
    expect(page.locator("#requests pre").first).to_contain_text(evil)
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.broken") is None
