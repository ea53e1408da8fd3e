// Keeps the page up to date, and does what needs a script. All HTML is of the
// server's templates. Links and forms do without this file.
const AGAIN = 1000; // milliseconds until a lost stream is looked for
const waiting = { tasks: new Set(), requests: new Set() }; // rows behind "show"
const most = { tasks: 50, requests: 30 }; // of which a page has so many
const $ = (id) => document.getElementById(id);
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
let stream, again; // the server's updates, and when they are looked for again
let isPaused = false;
let seen = 0; // the last event that the page shows
let held; // updates that come while the whole page is on its way
let turn = Promise.resolve(); // of who reads the whole page
let ahead = 0; // how far the tenant's clock is ahead of this machine's

// Makes an element like a fresh one, in place: focus, selection, what is typed and
// what is unfolded stay.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) return void old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) return void (old.data = fresh.data);
  const isKept = (name) => fresh.hasAttribute(name) || (name === "open" && old.nodeName === "DETAILS");
  for (const { name } of [...old.attributes]) if (!isKept(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, at) => (before[at] ? morph(before[at], node) : old.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

// Rows that are there change in place, and new ones wait, unless they are asked for
// or there is nothing that they could move. Of a whole page, those that are missing
// are gone; older ones may be on the next page.
function take(table, doc, { isWhole, isAsked }) {
  const rows = $(table).tBodies[0];
  const fresh = [...doc.querySelectorAll(`#${table} > tbody > tr`)];
  const isBeyond = (row, list, last) =>
    last && "more" in list.dataset && row.dataset.id && BigInt(row.dataset.id) < BigInt(last.dataset.id);
  const isNew = (row) => "fits" in row.dataset && !isBeyond(row, $(table), rows.lastElementChild);
  if (isWhole) waiting[table].clear();
  for (const row of fresh) {
    if ($(row.id)) morph($(row.id), row);
    else if (isNew(row) && waiting[table].size < most[table]) waiting[table].add(row.id);
  }
  if (isWhole) {
    $(table).toggleAttribute("data-more", "more" in doc.getElementById(table).dataset);
    const isGone = (row) => !fresh.some(({ id }) => id === row.id) && !isBeyond(row, doc.getElementById(table), fresh.at(-1));
    for (const row of [...rows.rows]) if (isGone(row)) row.remove();
  }
  if (isAsked === table || rows.rows.length === 0) {
    rows.replaceChildren(...fresh.filter(isNew).map((row) => $(row.id) ?? row));
    waiting[table].clear();
  }
  const [button, { size }] = [document.querySelector(`[data-show=${table}]`), waiting[table]];
  if (size > 0 && button.hidden) say(`There are new ${table}`);
  button.hidden = size === 0;
  const name = size === 1 ? table.slice(0, -1) : table;
  button.textContent = `▲ ${size}${size < most[table] ? "" : " or more"} new ${name}: show`;
}

function apply(doc, how) {
  for (const part of doc.querySelectorAll("[data-part]")) if ($(part.id)) morph($(part.id), part);
  const clock = doc.getElementById("now");
  if (clock) ahead = Date.parse(clock.dateTime) - Date.now();
  for (const table in waiting) take(table, doc, how);
  tick();
}

function update({ data, lastEventId }) {
  if (Number(lastEventId) <= seen) return;
  seen = Number(lastEventId);
  apply(parse(data), {});
}

// Reads the whole page; what updates say that are older is in it already.
function refresh(isAsked) {
  turn = turn.catch(() => {}).then(async () => {
    held ??= [];
    const answer = await fetch(location.pathname + location.search);
    if (!answer.ok) throw new Error(answer.statusText);
    const doc = parse(await answer.text());
    seen = Number(doc.body.dataset.event);
    apply(doc, { isWhole: true, isAsked });
    held.forEach(update);
    held = undefined;
  });
  return turn;
}

function open() {
  close();
  if (isPaused || document.hidden) return tell(isPaused ? "paused" : "waits");
  const source = (stream = new EventSource(`fragments${location.search}`));
  held ??= [];
  source.onmessage = (event) => (held ? held.push(event) : update(event));
  source.onopen = () => refresh().then(() => stream === source && tell("live"), lost);
  source.onerror = lost;
  source.addEventListener("refresh", () => (close(), (again = setTimeout(open, AGAIN / 4))));
}

function close() {
  clearTimeout(again);
  stream = stream?.close();
}

function lost() {
  close();
  tell("lost");
  again = setTimeout(open, AGAIN);
}

function tell(state) {
  const before = $("live").dataset.live;
  $("live").dataset.live = $("state").textContent = state;
  if (state === "lost" && before !== state) say("The connection is lost; what is shown may be old");
  if (state === "live" && before === "lost") say("The connection is back");
}

function say(text) {
  $("said").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => $("said").replaceChildren(), 5000);
}

function ago(past) {
  const seconds = Math.floor(Math.abs(past) / 1000);
  const units = [[172800, 86400, "d"], [3600, 3600, "h"], [60, 60, "min"], [1, 1, "s"]];
  const [, length, unit] = units.find(([least]) => seconds >= least) ?? [];
  const long = `${Math.floor(seconds / length)} ${unit}`;
  if (!unit) return "now";
  return past < 0 ? `in ${long}` : `${long} ago`;
}

function tick() {
  const clock = $("now");
  const now = "frozen" in clock.dataset ? Date.parse(clock.dateTime) : Date.now() + ahead;
  const set = (time, text) => time.textContent !== text && (time.textContent = text);
  set(clock, `${new Date(now).toISOString().slice(11, 19)}Z`);
  for (const time of document.querySelectorAll("time.ago")) set(time, ago(now - Date.parse(time.dateTime)));
}

async function copy(button) {
  const text = button.href ?? $(button.dataset.copy).textContent;
  // Only secure contexts have a clipboard: http://localhost has, http://kootask not.
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
}

async function send(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
  if (answer.type !== "opaqueredirect") return apply(parse(await answer.text()), {});
  form.closest("details")?.removeAttribute("open");
  await refresh();
}

function move(by) {
  const links = [...document.querySelectorAll("#tasks > tbody > tr > th a")];
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? links.findIndex((link) => link.ariaCurrent) : at + by;
  links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
}

document.addEventListener("keydown", (event) => {
  const { key, target, ctrlKey, altKey, metaKey } = event;
  const [sheet, isTyping] = [document.querySelector(".sheet[open]"), target.matches("input, select")];
  if (ctrlKey || altKey || metaKey) return;
  if (key === "Escape" && sheet) (sheet.open = false), sheet.firstElementChild.focus();
  else if (key === "Escape" && isTyping) target.blur();
  else if (key === "Escape") document.querySelector("#task .close")?.click();
  else if (isTyping) return;
  else if (key === "/") event.preventDefault(), $("q").focus();
  else if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
});
document.addEventListener("click", (event) => {
  const { dataset } = event.target;
  if ("copy" in dataset) event.preventDefault(), copy(event.target).catch(() => say("It cannot be copied"));
  if ("show" in dataset) refresh(dataset.show).then(() => $(dataset.show).querySelector("tbody :is(a, summary)").focus(), lost);
});
document.addEventListener("submit", (event) => {
  if (event.target.method === "post") event.preventDefault(), send(event.target, event.submitter).catch(lost);
});
document.addEventListener("visibilitychange", open);
addEventListener("pageshow", ({ persisted }) => persisted && open());
if ($("pause")) {
  document.documentElement.classList.add("live-script");
  $("pause").addEventListener("click", () => {
    isPaused = !isPaused;
    $("pause").textContent = isPaused ? "Resume" : "Pause";
    open();
  });
  setInterval(() => isPaused || tick(), 1000);
  open();
}
