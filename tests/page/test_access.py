"""The page for everybody: the keyboard alone, narrow, dark, forced colours, axe."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

NARROW = {"viewport": {"width": 320, "height": 640}}
LOOKS = {
    "light": {"color_scheme": "light", **NARROW},
    "dark": {"color_scheme": "dark", **NARROW},
    "forced-colours": {"forced_colors": "active", **NARROW},
    "wide": {},
}


def fill(tenant):
    """One of everything; the task to open."""
    for status in ["NEW", "EXECUTING", "SUCCESS", "FAILED"]:
        tenant.control("POST", "tasks", {"tasks": [
            {"status": status, "srcUserId": "1" * 64, "dstUserId": "heir", "age": "3h"}]})
    failures = [{"userName": "w" * 80, "desc": "The user exists."}]
    tenant.control("POST", "rules", {"match": {"call": "create"},
                                     "then": {"progress": "immediate", "result": {"failures": failures}}})
    task = tenant.create(taskType=1, resultId="r" * 64, orgId="o", orgUserId="u")
    signed = "HMAC-SHA256 AppId=kootask-dev,SignedHeaders=host;x-date;x-user-id,Signature=00"
    tenant.koodrive("GET", "list?" + "q" * 200)
    tenant.koodrive("POST", "create", {"srcUserId": "x"}, Authorization=signed)
    return task


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(open_page, tenant, look):
    # axe is put in from outside, which the policy is there to forbid.
    page = open_page(tenant.page(), bypass_csp=True, **LOOKS[look])

    def judge():
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    judge()
    task = fill(tenant)
    page.goto(tenant.page(task=task))
    expect(page.locator("#state")).to_have_text("live")
    for summary in page.locator("summary").all():
        summary.click()
    judge()


def test_the_keyboard_alone_finds_opens_leads_and_closes(open_page, tenant):
    tasks = [tenant.create(srcUserId=f"user-{number}x") for number in range(3)]
    page = open_page(tenant.page())
    keys = page.keyboard
    keys.press("j")
    keys.press("j")
    expect(page.locator(f"#tasks tr[data-id='{tasks[1]}'] a")).to_be_focused()
    keys.press("k")
    expect(page.locator(f"#tasks tr[data-id='{tasks[2]}'] a")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#task")).to_contain_text("user-2x")
    expect(page.locator("#state")).to_have_text("live")
    for _ in range(3):
        keys.press("Tab")
    expect(page.get_by_role("button", name="Start")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#task .state")).to_contain_text("EXECUTING")
    keys.press("Escape")
    expect(page.locator("#task")).to_be_hidden()
    expect(page.locator("#state")).to_have_text("live")
    keys.press("/")
    expect(page.get_by_label("find")).to_be_focused()
    keys.type("user-0x")
    keys.press("Enter")
    expect(page.locator("#tasks tbody tr")).to_have_count(1)
    expect(page.locator("#state")).to_have_text("live")
    page.get_by_text("Reset…").focus()
    keys.press("Enter")
    expect(page.get_by_role("button", name="Reset tenant")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("button", name="Reset tenant")).to_be_hidden()
    expect(page.get_by_text("Reset…")).to_be_focused()


def test_times_are_relative_with_the_moment_for_a_title(open_page, tenant):
    tenant.control("POST", "tasks", {"tasks": [{"srcUserId": "a", "dstUserId": "b", "age": "3h"}]})
    page = open_page(tenant.page())
    time = page.locator("#tasks time")
    expect(time).to_have_text("3 h ago")
    title = time.get_attribute("title")
    assert title.endswith(" UTC") and title[:10] == time.get_attribute("datetime")[:10]


def test_the_page_has_landmarks_captions_and_headers(open_page, tenant):
    page = open_page(tenant.page(task=fill(tenant)))
    for landmark in ["banner", "main", "search", "navigation"]:
        expect(page.get_by_role(landmark)).to_have_count(1)
    for table in page.locator("table").all():
        expect(table.locator("caption")).to_have_count(1)
        assert table.locator("thead th[scope=col]").count() >= 3
        assert table.locator("tbody th[scope=row]").count() >= 1
