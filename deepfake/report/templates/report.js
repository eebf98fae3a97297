"use strict";
{
  const table = document.getElementById("table");
  const scans = document.getElementById("scans");
  const form = document.querySelector(".filters");

  const cellValue = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim().toLowerCase();
    const text = cell.dataset.value ?? cell.textContent;
    return text.trim() === "" ? NaN : Number(text);
  };

  // rows without a number come last in both directions
  const compare = (a, b, way) => {
    if (typeof a === "string") return way * a.localeCompare(b, undefined, { numeric: true });
    if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
    return way * (a - b);
  };

  const sortBy = (header) => {
    const way = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const keyed = [...table.tBodies[0].rows].map((row) => [row, cellValue(row, header.cellIndex, header.dataset.sort)]);
    keyed.sort((one, other) => compare(one[1], other[1], way));
    table.tBodies[0].append(...keyed.map(([row]) => row));
    scans.append(...keyed.map(([row]) => document.getElementById(row.dataset.id)));
  };

  const filter = () => {
    const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set([...form.querySelectorAll("[name=verdict]:checked")].map((box) => box.value));
    const wrong = document.getElementById("wrong")?.checked;
    let count = 0;
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].textContent.toLowerCase();
      const fits =
        verdicts.has(row.dataset.verdict) &&
        (!wrong || "wrong" in row.dataset) &&
        words.every((word) => name.includes(word));
      row.hidden = !fits;
      document.getElementById(row.dataset.id).hidden = !fits;
      count += fits;
    }
    const total = table.tBodies[0].rows.length;
    document.getElementById("shown").textContent = `${count} of ${total} shown`;
    document.getElementById("none").hidden = count > 0;
  };

  // parsing hundreds of timelines and thousands of pictures takes seconds, so each is parsed when opened
  const unpack = (details) => {
    const folded = details.querySelector("noscript");
    if (folded) folded.outerHTML = folded.textContent;
  };

  const openTarget = () => {
    const target = /^#v\d+$/.test(location.hash) && document.querySelector(location.hash);
    const details = target && target.querySelector("details");
    if (!details) return;
    details.open = true;
    target.scrollIntoView();
    details.querySelector("summary").focus({ preventScroll: true });
  };

  if (table) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sortBy(header));
      header.append(button);
    }
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("all").addEventListener("click", () => {
      form.reset();
      filter();
      document.getElementById("search").focus();
    });
    table.addEventListener("click", (event) => {
      // hashchange does not fire if the address already ends with this hash
      const link = event.target.closest("a");
      if (link && link.hash === location.hash) openTarget();
    });
    filter();
  }
  // toggle events do not bubble, so listen in the capture phase
  scans?.addEventListener("toggle", (event) => event.target.open && unpack(event.target), true);
  addEventListener("hashchange", openTarget);
  openTarget();

  // some browsers do not print closed details
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("article:not([hidden]) > details:not([open])")];
    for (const details of folded) {
      unpack(details);
      details.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });
}
