"use strict";

// Sends files to the server one by one, and shows all scans. File names are only inserted as text.

const POLL = 400; // milliseconds
const HEAD = 4096; // bytes from which the server detects the file type (frames/content.py)
const SILENT = "did not arrive; check that 06-web_page.py is still running";

const byId = (id) => document.getElementById(id);
const rows = new Map(); // of scans, by id
const own = new Set(); // ids of scans started on this page
let shown = null;
let chosen = false; // the user selected a scan, so a new one does not replace it
let polling = false;
let sent = Promise.resolve();

const tell = (text) => { byId("told").textContent = text; };

const newRow = (name) => {
  const row = byId("row").content.firstElementChild.cloneNode(true);
  row.querySelector("bdi").textContent = name;
  row.querySelector("progress").setAttribute("aria-label", `Progress of ${name}`);
  byId("scans").hidden = false;
  return row;
};

// part: 0 to 1, null for unknown progress, undefined for no progress bar
const say = (row, kind, badge, text, part) => {
  const place = row.querySelector(".badge");
  place.className = `badge ${kind}`;
  place.textContent = badge;
  row.querySelector(".said").textContent = text;
  const bar = row.querySelector("progress");
  bar.hidden = part === undefined;
  if (part) bar.value = part; else bar.removeAttribute("value");
};

const refuse = (row, name, why) => {
  row.classList.add("refused");
  say(row, "unknown", "refused", why);
  tell(`${name} ${why}`);
};

// asked before the upload, since an answer in the middle of one is often lost
const check = async (file) => {
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  const headers = { "X-File-Size": file.size, "X-File-Head": btoa(String.fromCharCode(...head)) };
  return fetch("/check", { headers }).then((answer) => answer.json()).catch(() => ({ refused: SILENT }));
};

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));

const send = (file, row) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest(); // fetch does not report upload progress
  request.open("POST", "/scans");
  request.responseType = "json";
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.setRequestHeader("X-File-Name", encodeURIComponent(file.name.slice(0, 255).toWellFormed()));
  request.upload.addEventListener("progress", (event) => {
    const part = event.loaded / event.total;
    say(row, "unknown", "sending", `${Math.round(100 * part)}\u00a0%`, part);
  });
  request.addEventListener("loadend", () => {
    if (request.status === 201) resolve(request.response.id);
    else reject(new Error(request.response?.error ?? SILENT));
  });
  request.send(file);
});

const upload = async (file, row) => {
  try {
    let answer = await check(file);
    for (; answer.later; answer = await check(file)) await sleep(2 * POLL); // the queue is full
    if (answer.refused) throw new Error(answer.refused);
    own.add(await send(file, row));
    row.remove();
    poll();
  } catch (error) {
    refuse(row, file.name, error.message);
  }
};

const take = (files) => {
  chosen = false;
  for (const file of files) {
    const row = newRow(file.name);
    say(row, "unknown", "waiting", "");
    byId("uploads").prepend(row);
    sent = sent.then(() => upload(file, row));
  }
};

const update = (scan) => {
  const row = rows.get(scan.id) ?? newRow(scan.name);
  if (!rows.has(scan.id)) {
    rows.set(scan.id, row);
    row.querySelector("button").addEventListener("click", () => { chosen = true; show(scan.id); });
  }
  if (row.dataset.progress === scan.progress) return;
  row.dataset.progress = scan.progress;
  if (own.has(scan.id)) tell(`${scan.name}: ${scan.progress}`);
  if (!scan.verdict) {
    say(row, "unknown", scan.begun ? "scanning" : "waiting", scan.progress, scan.begun ? null : undefined);
    return;
  }
  say(row, scan.verdict, scan.verdict, scan.said);
  row.querySelector("button").disabled = false;
  if (own.delete(scan.id)) {
    tell(`${scan.name}: ${scan.verdict}, ${scan.said}`);
    if (!chosen) show(scan.id);
  }
};

const arrange = (ids) => {
  for (const [id, row] of rows) {
    if (!ids.includes(id)) { rows.delete(id); row.remove(); }
  }
  // move only rows that are out of place, since moving a row takes the focus from it
  ids.forEach((id, place) => {
    const there = byId("list").children[place];
    if (there !== rows.get(id)) byId("list").insertBefore(rows.get(id), there ?? null);
  });
};

const poll = async () => {
  if (polling) return;
  polling = true;
  try {
    for (let busy = true; busy; ) {
      const scans = await (await fetch("/scans")).json();
      scans.forEach(update);
      arrange(scans.map((scan) => scan.id));
      busy = scans.some((scan) => !scan.verdict) || own.size > 0;
      if (busy) await sleep(POLL);
    }
  } catch {
    tell("The server does not answer; check that 06-web_page.py is still running.");
  }
  polling = false;
};

const show = async (id) => {
  shown = id;
  const answer = await fetch(`/scans/${id}`).catch(() => null);
  if (shown !== id || !answer) return;
  const result = byId("result");
  if (answer.ok) result.innerHTML = await answer.text(); // the server has escaped all names
  else result.textContent = "This scan has been removed; upload the file again.";
  for (const [key, row] of rows) row.classList.toggle("shown", key === id);
  if (chosen) {
    result.focus({ preventScroll: true });
    result.scrollIntoView();
  }
};

const drop = byId("drop");
byId("file").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});
// on the whole page, since a browser opens files that are dropped elsewhere
addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take([...event.dataTransfer.files]);
});
addEventListener("visibilitychange", () => document.hidden || poll());
poll();
