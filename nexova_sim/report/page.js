"use strict";
(function () {
  const table = document.getElementById("machine-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const find = document.getElementById("find");
  const state = document.getElementById("state");
  const shown = document.getElementById("shown");

  function value(row, column) {
    const cell = row.cells[column];
    const raw = cell.dataset.v;
    if (raw === undefined) return cell.textContent.trim().toLowerCase();
    return raw === "" ? NaN : Number(raw);
  }

  function compare(a, b) {
    if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
    return a - b;
  }

  function sortBy(head, column) {
    const now = head.getAttribute("aria-sort");
    const first = head.classList.contains("n") ? "descending" : "ascending";
    const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    rows.sort(function (a, b) {
      const x = value(a, column), y = value(b, column);
      // What is not known stays at the end, whichever way the column is sorted.
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * compare(x, y);
    });
    body.append(...rows);
  }

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word)) && (state.value === "" || row.dataset.state === state.value);
      row.hidden = !fits;
      if (fits) n += 1;
    }
    shown.textContent = n + " of " + rows.length + " machines";
  }

  function quote(cell) {
    let text = cell === null ? "" : String(cell);
    // A spreadsheet would run a text that starts like a formula.
    if (typeof cell === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  function save() {
    const list = JSON.parse(document.getElementById("report-data").textContent).machines;
    const heads = Object.keys(list[0]);
    const lines = [heads.join(","), ...list.map((m) => heads.map((h) => quote(m[h])).join(","))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = "machines.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
    if (head.dataset.plain !== undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(head, column));
  });
  find.addEventListener("input", filter);
  state.addEventListener("change", filter);
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("controls").hidden = false;
  filter();
})();
