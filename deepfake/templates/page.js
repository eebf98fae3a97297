"use strict";

// Uploads one file after the other, and shows what the server says of all scans. Names are only ever text.

const POLL = 400; // milliseconds

const byId = (id) => document.getElementById(id);
const input = byId("file");
const drop = byId("drop");
const list = byId("list");
const result = byId("result");

const rows = new Map(); // by the ids of scans, and of uploads on their way
const own = new Set(); // scans that were begun here
let shown = null;
let polling = false;
let uploads = Promise.resolve();
let count = 0;

const tell = (text) => { byId("told").textContent = text; };

const newRow = (id, name) => {
  const row = document.createElement("li");
  row.innerHTML = '<span class="badge unknown"></span><button type="button" class="name" disabled><bdi></bdi></button><span class="said"></span>';
  row.querySelector("bdi").textContent = name;
  row.querySelector("button").addEventListener("click", () => show(id, true));
  rows.set(id, row);
  byId("scans").hidden = false;
  return row;
};

const say = (row, badge, text, kind = "unknown") => {
  const place = row.querySelector(".badge");
  place.textContent = badge;
  place.className = `badge ${kind}`;
  row.querySelector(".said").textContent = text;
};

const refuse = (row, name, text) => {
  row.className = "refused";
  say(row, "not taken", text);
  tell(`${name} ${text}`);
};

// progress is a number from 0 to 1, null for one that is not known, or undefined for none
const setBar = (row, progress, name) => {
  let bar = row.querySelector("progress");
  if (progress === undefined) { bar?.remove(); return; }
  if (!bar) {
    bar = document.createElement("progress");
    bar.setAttribute("aria-label", `progress of ${name}`);
    row.append(bar);
  }
  if (progress === null) bar.removeAttribute("value"); else bar.value = progress;
};

const send = (file, row) => new Promise((resolve) => {
  const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
  request.open("POST", "/scans");
  request.responseType = "json";
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.setRequestHeader("X-File-Name", encodeURIComponent(file.name.slice(0, 255).toWellFormed()));
  request.upload.addEventListener("progress", (event) => {
    setBar(row, event.loaded / event.total, file.name);
    row.querySelector(".said").textContent = `${Math.round((100 * event.loaded) / event.total)}\u00a0%`;
  });
  request.addEventListener("loadend", () => {
    setBar(row, undefined);
    if (request.status === 201) resolve(request.response.id);
    else {
      refuse(row, file.name, request.response?.error ?? "did not arrive: does 06-web_page.py still run?");
      resolve(null);
    }
  });
  request.send(file);
});

const upload = async (file, id, row) => {
  say(row, "uploading", "");
  const scan = await send(file, row);
  if (!scan) return;
  rows.delete(id);
  row.remove();
  own.add(scan);
  poll();
};

const take = (files) => {
  for (const file of files) {
    const id = `upload-${++count}`;
    const row = newRow(id, file.name);
    list.prepend(row);
    const most = Number(input.dataset.megabytes);
    if (file.size > 1e6 * most) refuse(row, file.name, `is larger than ${most} MB, which is the limit here (--max-mb)`);
    else {
      say(row, "waiting", "");
      uploads = uploads.then(() => upload(file, id, row));
    }
  }
};

const update = (scan) => {
  const known = rows.get(scan.id);
  const row = known ?? newRow(scan.id, scan.name);
  if (row.dataset.done) return;
  if (scan.verdict) {
    row.dataset.done = "yes";
    say(row, scan.verdict, scan.said, scan.verdict);
    setBar(row, undefined);
    row.querySelector("button").disabled = false;
    if (own.delete(scan.id)) {
      tell(`${scan.name}: ${scan.verdict}, ${scan.said}`);
      show(scan.id, false);
    }
  } else {
    const text = scan.progress;
    if (own.has(scan.id) && row.querySelector(".said").textContent !== text) tell(`${scan.name}: ${text}`);
    say(row, scan.waits ? "waiting" : "scanning", text);
    setBar(row, scan.waits ? undefined : null, scan.name);
  }
};

const poll = async () => {
  if (polling) return;
  polling = true;
  for (let busy = true; busy; ) {
    let scans;
    try {
      scans = await (await fetch("/scans")).json();
    } catch {
      tell("The page has no connection any more: does 06-web_page.py still run?");
      break;
    }
    scans.forEach(update);
    arrange(scans.map((scan) => scan.id));
    busy = scans.some((scan) => !scan.verdict) || own.size > 0;
    if (busy) await new Promise((resolve) => setTimeout(resolve, POLL));
  }
  polling = false;
};

// moving a row takes the focus from it: only those that are not in their place are moved
const arrange = (ids) => {
  for (const [id, row] of rows) {
    if (!id.startsWith("upload-") && !ids.includes(id)) { rows.delete(id); row.remove(); }
  }
  let before = [...list.children].filter((row) => [...rows].some(([id, its]) => its === row && id.startsWith("upload-"))).pop() ?? null;
  for (const id of ids) {
    const row = rows.get(id);
    const next = before ? before.nextSibling : list.firstChild;
    if (row !== next) list.insertBefore(row, next);
    before = row;
  }
};

const show = async (id, wanted) => {
  shown = id;
  const answer = await fetch(`/scans/${id}`);
  const html = await answer.text();
  if (shown !== id) return;
  if (answer.ok) result.innerHTML = html; // made by the server, where names are escaped
  else result.textContent = html;
  for (const [key, row] of rows) row.classList.toggle("shown", key === id);
  if (wanted) {
    result.focus({ preventScroll: true });
    result.scrollIntoView();
  }
};

input.addEventListener("change", () => {
  take(input.files);
  input.value = ""; // so that the same file can be chosen again
});
for (const kind of ["dragover", "drop"]) {
  // anywhere: a browser leaves the page for a file that misses
  addEventListener(kind, (event) => event.preventDefault());
}
addEventListener("dragover", () => drop.classList.add("over"));
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
addEventListener("drop", (event) => {
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
poll();
