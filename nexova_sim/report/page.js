// Pages, the filter that holds over all of them, and tables that sort. Where one is, and the filter, stand in the hash:
// #page, #page?machine=...&state=..., #found?... (everything about what was found), #all.
(function () {
  const by = (id) => document.getElementById(id);
  const main = by("main"), find = by("find"), choice = by("state"), told = by("shown");
  const machines = JSON.parse(by("report-data").textContent).machines;
  const place = new Map(machines.map((m, i) => [m.machine_id, i]));
  const words = machines.map((m) => [m.machine_id, m.name, m.kind, m.factory_id].join(" ").toLowerCase());
  const sections = Array.from(main.querySelectorAll(":scope > section"));
  const links = new Map(Array.from(document.querySelectorAll("nav a"), (a) => [a.hash.slice(1), a]));
  const names = new Map(Array.from(links, ([id, a]) => [id, a.textContent]));
  const title = document.title, order = sections.map((s) => s.id).filter((id) => id !== "found");
  const MOST_TRACES = 12, prepared = new Set(), bySection = new Map();
  let now = { id: "", found: null };

  function nameOf(el) {
    if (el.dataset.m !== undefined) return el.dataset.m;
    const table = el.closest("table"), head = table.tHead && table.tHead.rows[0].cells[0];
    return head && head.textContent.trim() === "Machine" ? el.cells[0].textContent.trim() : "";
  }

  // What belongs to one machine, once and for all: the filter then only touches what changes.
  for (const section of sections) {
    bySection.set(section.id, []);
    for (const el of section.querySelectorAll("[data-m], tbody tr")) {
      const machine = nameOf(el), isMore = el.dataset.more !== undefined;
      if (!isMore && !place.has(machine)) continue;
      const item = { el, machine, isMore, section: section.id };
      bySection.get(section.id).push(item);
    }
  }

  function where() {
    const raw = location.hash.slice(1), cut = raw.indexOf("?");
    let id = cut < 0 ? raw : raw.slice(0, cut);
    try { id = decodeURIComponent(id); } catch { id = ""; }
    const asked = new URLSearchParams(cut < 0 ? "" : raw.slice(cut + 1)), key = ["state", "status"].find((k) => asked.has(k));
    return { id, machine: asked.get("machine") || "", key: key || "", value: key ? asked.get(key) : "" };
  }

  function hashOf(id, machine, key, value) {
    const asked = new URLSearchParams();
    if (machine) asked.set("machine", machine);
    if (key) asked.set(key, value);
    const text = asked.toString();
    return "#" + id + (text ? "?" + text : "");
  }

  /** Numbers of the machines that fit, or null when everything does. An exact id means that machine alone. */
  function matches(at) {
    if (!at.machine && !at.key) return null;
    const wanted = at.machine.toLowerCase().split(/\s+/).filter(Boolean), only = place.get(at.machine);
    const found = new Set();
    machines.forEach(function (m, i) {
      const fits = only !== undefined ? i === only : wanted.every((word) => words[i].includes(word));
      if (fits && (!at.key || m[at.key] === at.value)) found.add(i);
    });
    return found;
  }

  function setHidden(item, found) {
    const opened = item.isMore && item.el.parentElement.dataset.opened === "";
    const hide = found ? !found.has(place.get(item.machine)) : item.isMore && !opened;
    if (item.el.hidden !== hide) item.el.hidden = hide;
  }

  /** Hide what does not fit; mark what holds something that does; count it beside the names of the pages. */
  function filter(found) {
    for (const el of main.querySelectorAll(".hit")) el.classList.remove("hit");
    for (const section of sections) {
      const items = bySection.get(section.id);
      let n = 0;
      for (const item of items) {
        setHidden(item, found);
        if (!found || item.el.hidden) continue;
        n += 1;
        for (let up = item.el; up && !up.classList.contains("hit"); up = up === section ? null : up.parentElement) up.classList.add("hit");
      }
      const link = links.get(section.id), empty = found && items.length > 0 && n === 0;
      section.classList.toggle("empty", Boolean(empty));
      if (!link || section.id === "found") continue;
      link.textContent = names.get(section.id);
      link.classList.toggle("none", Boolean(empty));
      if (!found || !n) continue;
      const badge = document.createElement("span");
      badge.className = "count";
      badge.textContent = n;
      link.append(" ", badge);
    }
  }

  function fact(list, name, value) {
    const row = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    row.append(dt, dd);
    list.append(row);
  }

  function chip(m) {
    const made = document.createElement("span"), key = { ONLINE: "running", "NO DATA": "nodata" }[m.state] || m.state.toLowerCase();
    made.className = "chip s-" + key;
    made.textContent = m.state;
    return made;
  }

  /** The head of the page that gathers: the one machine with its facts, or how many they are. */
  function gather(found) {
    const head = by("h-found"), box = by("found-facts"), list = document.createElement("dl");
    box.replaceChildren();
    if (!found || found.size !== 1) {
      head.textContent = found ? "Everything about " + found.size + " machines" : "Everything found";
      return;
    }
    const m = machines[[...found][0]], share = (v) => (v === null ? "–" : (100 * v).toFixed(0) + " %");
    head.textContent = m.machine_id;
    const line = document.createElement("p");
    line.append(chip(m), " " + [m.name, m.kind, m.factory_id].filter((t, i) => t && (i || t !== m.machine_id)).join(" · "));
    list.className = "keys card";
    if (m.health_percent !== null) fact(list, "Health", m.health_percent.toFixed(0) + " %, lowest " + m.lowest_health_percent.toFixed(0) + " %");
    fact(list, "Status", m.status || "unknown");
    fact(list, "Energy", m.energy_kwh === null ? "–" : m.energy_kwh.toFixed(0) + " kWh");
    fact(list, "Running", share(m.running_frac));
    fact(list, "Faults, failures", m.faults + ", " + m.failures);
    box.append(line, list);
  }

  /** Figures of the chosen machines that have none in the page yet. */
  function draw(found) {
    const box = by("traces"), items = bySection.get("figures");
    for (const old of items.filter((item) => item.isDrawn && !(found && found.has(place.get(item.machine))))) {
      old.el.remove();
      items.splice(items.indexOf(old), 1);
    }
    if (!found) return;
    const there = new Set(items.map((item) => item.machine));
    const wanted = [...found].filter((i) => !there.has(machines[i].machine_id)).slice(0, Math.max(0, MOST_TRACES - box.children.length));
    for (const i of wanted) {
      const m = machines[i], card = document.createElement("article"), head = document.createElement("div"), name = document.createElement("h3");
      card.className = "card machine";
      card.dataset.m = m.machine_id;
      head.className = "head";
      name.className = "break";
      name.textContent = m.machine_id;
      head.append(name, chip(m));
      const plot = document.createElement("div");
      plot.className = "plot";
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", "Power, temperature, vibration and state of " + m.machine_id + " over time");
      plot.tabIndex = 0;
      plot.append(traces.draw(i, innerWidth > 760 ? 1080 : 348));
      card.append(head, plot);
      box.append(card);
      items.push({ el: card, machine: m.machine_id, isMore: false, section: "figures", isDrawn: true });
    }
  }

  function linkNames(item) {
    const holder = item.el.tagName === "TR" ? item.el.cells[0] : item.el.querySelector("[data-name]");
    if (!holder || !place.has(item.machine)) return;
    let link = holder.querySelector("a");
    if (!link) {
      link = document.createElement("a");
      holder.firstChild.before(link);
      link.append(link.nextSibling);
    }
    link.href = hashOf("found", item.machine, "", "");
  }

  function value(row, column, isNumber) {
    const cell = row.cells[column], raw = cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
    if (!isNumber) return raw.toLowerCase();
    const text = raw.replace(/[\s\u202f<>]/g, "").replace("\u2212", "-");
    return text === "·" ? 0 : parseFloat(text);
  }

  function sortBy(head) {
    const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex, isNumber = head.classList.contains("n");
    const was = head.getAttribute("aria-sort");
    const goes = was === null ? (isNumber ? "descending" : "ascending") : was === "ascending" ? "descending" : "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", goes);
    const sign = goes === "ascending" ? 1 : -1;
    const keyed = Array.from(body.rows, (row) => [value(row, column, isNumber), row]);
    const language = new Intl.Collator(undefined, { numeric: true });
    keyed.sort(function ([a], [b]) {
      // What is not known stays at the end, whichever way the column is sorted.
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (isNumber ? a - b : language.compare(a, b));
    });
    body.append(...keyed.map(([, row]) => row));
  }

  /** What a page needs before it is shown for the first time: links of machines, heads that sort, "show all". */
  function prepare(section) {
    if (prepared.has(section.id)) return;
    prepared.add(section.id);
    bySection.get(section.id).forEach(linkNames);
    for (const plot of section.querySelectorAll(".machine .plot")) plot.tabIndex = 0;
    for (const table of section.querySelectorAll("table")) {
      const body = table.tBodies[0], hidden = body ? body.querySelectorAll("[data-more]").length : 0;
      if (!body || body.rows.length < 4 || !table.tHead) continue;
      for (const head of table.tHead.rows[0].cells) {
        if (head.dataset.plain !== undefined || !head.textContent.trim()) continue;
        const button = document.createElement("button");
        button.type = "button";
        button.append(...head.childNodes);
        head.append(button);
      }
      if (!hidden) continue;
      const open = document.createElement("button");
      open.type = "button";
      open.className = "open";
      open.textContent = "Show all " + body.rows.length + " rows";
      table.closest(".scroll").after(open);
    }
  }

  function pager(id) {
    const old = main.querySelector(".pager"), box = document.createElement("p"), at = order.indexOf(id);
    if (old) old.remove();
    if (at < 0) return;
    box.className = "pager";
    for (const [step, mark] of [[-1, "← "], [1, ""]]) {
      const other = order[at + step], link = document.createElement("a");
      if (!other) continue;
      link.href = "#" + other;
      link.textContent = mark + names.get(other) + (step > 0 ? " →" : "");
      box.append(link);
    }
    main.append(box);
  }

  function show(id, target, isNew) {
    const isAll = id === "all" || id === "found";
    document.body.classList.toggle("gathered", id === "found");
    for (const section of sections) {
      const on = id === "all" ? section.id !== "found" : id === "found" || section.id === id;
      if (on) prepare(section);
      section.classList.toggle("on", on);
    }
    by("found").hidden = id !== "found";
    for (const [name, link] of links) {
      if (name === id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = (id === "found" ? by("h-found").textContent : names.get(id)) + " – " + title;
    pager(isAll ? "" : id);
    if (!isNew) return;
    const strip = document.querySelector("nav"), link = links.get(id);
    if (link) strip.scrollLeft = link.offsetLeft - 60;
    const head = target || (id === "all" ? main : by("h-" + id));
    head.tabIndex = head.tabIndex < 0 ? -1 : head.tabIndex;
    if (now.id) head.focus({ preventScroll: true });
    if (target) target.scrollIntoView();
    else if (now.id) scrollTo(0, 0);
  }

  function apply() {
    const at = where();
    let target = null, id = links.has(at.id) ? at.id : "";
    if (!id && at.id) {
      target = by(at.id);
      const home = target && target.closest("main > section");
      id = home ? home.id : "";
      if (!home) target = null;
    }
    const found = matches(at);
    if (!id || (id === "found" && !found)) id = "overview";
    if (document.activeElement !== find || find.value.trim() !== at.machine) find.value = at.machine;
    choice.value = at.key ? at.key + "=" + at.value : "";
    draw(found);
    filter(found);
    gather(found);
    told.textContent = (found ? found.size + " of " : "") + machines.length + (machines.length === 1 ? " machine" : " machines");
    for (const part of ["clear", "show-found", "nav-found"]) by(part).hidden = !found;
    by("show-found").textContent = found && found.size === 1 ? "Everything about it" : "Everything about them";
    show(id, target, id !== now.id || (target && at.id !== now.target));
    now = { id, found, target: at.id };
  }

  function go(hash) {
    if (location.hash === hash) apply();
    else location.hash = hash;
  }

  function ask() {
    const at = where(), cut = choice.value.indexOf("="), key = cut < 0 ? "" : choice.value.slice(0, cut);
    location.replace(hashOf(at.id || "overview", find.value.trim(), key, choice.value.slice(cut + 1)));
  }

  function quote(cell) {
    let text = cell === null ? "" : String(cell);
    // A spreadsheet would run a text that starts like a formula.
    if (typeof cell === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  function save() {
    const list = machines.filter((_, i) => !now.found || now.found.has(i)), heads = Object.keys(machines[0]);
    const lines = [heads.join(","), ...list.map((m) => heads.map((h) => quote(m[h])).join(","))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = "machines.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function clicked(event) {
    const link = event.target.closest('a[href^="#"]'), button = event.target.closest("button"), at = where();
    if (link && !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      const pick = link.dataset.pick, to = link.getAttribute("href");
      if (pick) go(hashOf("machines", "", ...pick.split(/=(.*)/s).slice(0, 2)));
      else if (to.includes("?")) go(to);
      else if (to === "#main") main.focus();
      else go(hashOf(to.slice(1), at.machine, at.key, at.value));
      event.preventDefault();
    } else if (button && button.id === "save") save();
    else if (button && button.className === "open") {
      button.previousElementSibling.querySelector("tbody").dataset.opened = "";
      button.remove();
      filter(now.found);
    } else if (button && button.parentElement.tagName === "TH") sortBy(button.parentElement);
  }

  function plotOf(event) {
    const plot = event.target.closest ? event.target.closest(".machine .plot") : null;
    return plot && { plot, index: place.get(plot.closest("[data-m]").dataset.m) };
  }

  function moved(event) {
    const at = plotOf(event);
    if (at) traces.point(at.plot, at.index, traces.shareAt(at.plot, event.clientX));
  }

  function pressed(event) {
    const at = plotOf(event), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!at || (!step && event.key !== "Escape")) return;
    event.preventDefault();
    if (!step) return void traces.point(at.plot, at.index, null);
    const was = Number(at.plot.dataset.share || 0), one = traces.point(at.plot, at.index, was).step;
    if (at.plot.dataset.read) traces.point(at.plot, at.index, was + step * one * (event.shiftKey ? 10 : 1));
    at.plot.dataset.read = "1";
  }

  let wait = 0;
  find.addEventListener("input", function () {
    clearTimeout(wait);
    wait = setTimeout(ask, 120);
  });
  find.addEventListener("focus", function () {
    if (!by("names").children.length) by("names").append(...machines.map((m) => new Option(m.machine_id)));
  });
  choice.addEventListener("change", ask);
  by("controls").addEventListener("submit", (event) => event.preventDefault());
  by("controls").addEventListener("reset", () => setTimeout(ask));
  document.addEventListener("click", clicked);
  document.addEventListener("pointermove", moved);
  document.addEventListener("pointerout", function (event) {
    const at = plotOf(event);
    if (at && !at.plot.contains(event.relatedTarget)) traces.point(at.plot, at.index, null);
  });
  document.addEventListener("keydown", pressed);
  addEventListener("hashchange", apply);
  apply();
})();
