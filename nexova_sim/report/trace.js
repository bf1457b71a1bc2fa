"use strict";
// Figures of machines, drawn from the packed readings, and the values under a cursor on any machine's figure.
const traces = (function () {
  const NOTHING = 65535, SIDE = 46, HOUR = 3600000, DAY = 24 * HOUR, MOST_NAMES = 6;
  const STEPS = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 2880, 8760].map((h) => h * HOUR);
  const known = new Map();
  let all = null;

  function packed() {
    if (!all) all = JSON.parse(document.getElementById("report-traces").textContent);
    return all;
  }

  function load(index) {
    if (known.has(index)) return known.get(index);
    const edges = packed().edges, n = edges.length - 1, one = packed().machines[index];
    const text = atob(one.bins), codes = new Uint16Array(text.length / 2);
    for (let k = 0; k < codes.length; k++) codes[k] = text.charCodeAt(2 * k) | (text.charCodeAt(2 * k + 1) << 8);
    let row = 0;
    const channels = [];
    one.ranges.forEach(function (range, number) {
      if (!range) return;
      const [mean, low, high] = [0, 1, 2].map(function (part) {
        const own = Array.from(codes.subarray((row + part) * n, (row + part + 1) * n));
        return own.map((q) => (q === NOTHING ? NaN : range[0] + (q / (NOTHING - 1)) * (range[1] - range[0])));
      });
      channels.push({ about: packed().channels[number], range, mean, low, high });
      row += 3;
    });
    const found = { edges, n, channels, states: Array.from(codes.subarray(row * n)), faults: one.faults, failures: one.failures };
    known.set(index, found);
    return found;
  }

  const clock = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

  /** What a machine's readings say at a share 0..1 of the time, with the share at which the bin's middle lies. */
  function read(index, share) {
    const m = load(index), start = m.edges[0], span = m.edges[m.n] - start;
    let bin = m.edges.findIndex((edge) => edge > start + share * span) - 1;
    if (bin < 0) bin = m.n - 1;
    const parts = [clock(m.edges[bin]) + " UTC"];
    for (const c of m.channels) {
      if (!Number.isNaN(c.mean[bin])) parts.push(c.mean[bin].toFixed(c.about.digits) + " " + c.about.unit);
    }
    parts.push(packed().states[m.states[bin]][1]);
    const middle = (m.edges[bin] + m.edges[bin + 1]) / 2;
    for (const f of m.faults) if (f[0] < m.edges[bin + 1] && f[1] > m.edges[bin]) parts.push(f[2]);
    return { text: parts.join(" · "), share: (middle - start) / span, step: 1 / m.n };
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(document.querySelector("svg").namespaceURI, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function ticks(low, high, most) {
    const rough = (high - low) / most, size = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 2.5, 5, 10].map((k) => k * size).find((s) => s >= rough);
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) found.push(Number(v.toPrecision(6)));
    return found;
  }

  function times(start, end, most) {
    const step = STEPS.find((s) => (end - start) / s <= most) || STEPS[STEPS.length - 1];
    const found = [];
    for (let ms = Math.ceil(start / step) * step; ms <= end; ms += step) {
      const day = new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
      found.push([ms, ms % DAY ? clock(ms).slice(11) : day]);
    }
    return found;
  }

  /** Where a value is known, a path along (x, y); gaps stay gaps, a lone bin is a dot. */
  function line(values, x, y) {
    let path = "";
    values.forEach(function (v, k) {
      if (Number.isNaN(v)) return;
      const starts = k === 0 || Number.isNaN(values[k - 1]);
      const alone = starts && (k === values.length - 1 || Number.isNaN(values[k + 1]));
      path += (starts ? "M" : "L") + x(k) + "," + y(v) + (alone ? "h0.1" : "");
    });
    return path;
  }

  function band(c, x, y) {
    let path = "", from = 0;
    for (let k = 0; k <= c.low.length; k++) {
      if (k < c.low.length && !Number.isNaN(c.low[k])) continue;
      if (k > from) {
        const there = [], back = [];
        for (let j = from; j < k; j++) {
          there.push(x(j) + "," + y(c.high[j]));
          back.unshift(x(j) + "," + y(c.low[j]));
        }
        path += "M" + there.concat(back).join("L") + "Z";
      }
      from = k + 1;
    }
    return path;
  }

  function panel(svg, c, top, height, x, width) {
    const low = c.about.role === "temp" ? Math.floor(c.range[0] / 10) * 10 : Math.min(0, c.range[0]);
    const high = Math.max(c.range[1] * 1.04, low + 0.1);
    const y = (v) => (top + height * (1 - (v - low) / (high - low))).toFixed(1);
    for (const v of ticks(low, high, 3)) {
      svg.append(element("line", { x1: SIDE, x2: width - SIDE, y1: y(v), y2: y(v), stroke: "var(--line)" }));
      svg.append(element("text", { x: SIDE - 6, y: Number(y(v)) + 4, "text-anchor": "end", fill: "var(--muted)" }, v));
    }
    const colour = "var(--" + c.about.role + ")";
    svg.append(element("text", { x: 6, y: top - 6, fill: colour }, c.about.name + ", " + c.about.unit));
    svg.append(element("path", { d: band(c, x, y), fill: colour, "fill-opacity": 0.22 }));
    const drawn = { d: line(c.mean, x, y), fill: "none", stroke: colour, "stroke-width": 1.3, "stroke-linecap": "round" };
    svg.append(element("path", { ...drawn, "stroke-linejoin": "round" }));
  }

  /** The figure of a machine, ``width`` of the viewBox in pixels. */
  function draw(index, width) {
    const m = load(index), start = m.edges[0], span = m.edges[m.n] - start, inner = width - 2 * SIDE;
    const across = (ms) => (SIDE + (inner * (Math.min(Math.max(ms, start), start + span) - start)) / span).toFixed(1);
    const x = (k) => across((m.edges[k] + m.edges[k + 1]) / 2);
    const names = [...new Set(m.faults.map((f) => f[2]))].slice(0, MOST_NAMES);
    const top = 10 + 17 * names.length, each = 105, height = top + each * m.channels.length + 52;
    const svg = element("svg", { viewBox: "0 0 " + width + " " + height });
    for (const [onset, end, name, isSensor] of m.faults) {
      const colour = isSensor ? "var(--sensor)" : "var(--fault)", left = across(onset), lane = names.indexOf(name);
      const wide = Math.max(1.5, across(end) - left);
      svg.append(element("rect", { x: left, width: wide, y: top, height: each * m.channels.length + 8, fill: colour, opacity: 0.09 }));
      if (lane < 0) continue;
      svg.append(element("rect", { x: left, width: wide, y: 17 * lane + 17, height: 2.6, fill: colour }));
      const late = left > SIDE + 0.72 * inner;
      if (m.faults.findIndex((f) => f[2] === name) !== m.faults.findIndex((f) => f[0] === onset && f[2] === name)) continue;
      svg.append(element("text", { x: late ? Number(left) + wide : left, y: 17 * lane + 13, "text-anchor": late ? "end" : "start", fill: colour }, name));
    }
    m.channels.forEach((c, k) => panel(svg, c, top + each * k + 22, each - 30, x, width));
    const foot = top + each * m.channels.length + 8;
    for (const ms of m.failures) {
      svg.append(element("line", { x1: across(ms), x2: across(ms), y1: top, y2: foot, stroke: "var(--critical)", "stroke-width": 1.6 }));
    }
    for (let k = 0, from = 0; k <= m.n; k++) {
      if (k < m.n && m.states[k] === m.states[from]) continue;
      const key = packed().states[m.states[from]][0];
      svg.append(element("rect", { class: "s-" + key, x: across(m.edges[from]), width: Math.max(0, across(m.edges[k]) - across(m.edges[from])), y: foot + 6, height: 13 }));
      from = k;
    }
    for (const [ms, label] of times(start, start + span, Math.max(3, Math.floor(width / 80)))) {
      svg.append(element("text", { x: across(ms), y: foot + 38, "text-anchor": "middle", fill: "var(--muted)" }, label));
    }
    return svg;
  }

  /** Put the cursor of a plot at a share of the time and say beside it what is read there; null takes it away. */
  function point(plot, index, share) {
    let cursor = plot.querySelector(".cursor");
    const card = plot.closest("[data-m]");
    let told = card.querySelector(".readout");
    if (share === null) {
      if (cursor) cursor.remove();
      if (told) told.textContent = "";
      return;
    }
    const found = read(index, Math.min(1, Math.max(0, share))), width = plot.querySelector("svg").viewBox.baseVal.width;
    if (!cursor) {
      cursor = document.createElement("i");
      cursor.className = "cursor";
      plot.append(cursor);
    }
    if (!told) {
      told = document.createElement("p");
      told.className = "readout";
      told.setAttribute("aria-live", "polite");
      card.querySelector(".head").append(told);
    }
    cursor.style.left = (100 * (SIDE + found.share * (width - 2 * SIDE))) / width + "%";
    told.textContent = found.text;
    plot.dataset.share = found.share;
    return found;
  }

  /** The share of the time at a horizontal place on the screen. */
  function shareAt(plot, clientX) {
    const svg = plot.querySelector("svg"), box = svg.getBoundingClientRect(), width = svg.viewBox.baseVal.width;
    return (((clientX - box.left) / box.width) * width - SIDE) / (width - 2 * SIDE);
  }

  return { draw, point, shareAt };
})();
